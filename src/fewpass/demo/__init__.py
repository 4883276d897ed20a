"""A page to play with: two decoders draw one prompt side by side. Needs the extra `demo`."""
