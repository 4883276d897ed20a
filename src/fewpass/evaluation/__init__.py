"""How good and how fast decoders are on one model, measured so that anyone can measure it again: `fewpass eval`."""
