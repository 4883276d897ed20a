"""A page on which two decoders draw one prompt side by side. Needs the extra `demo`."""
