"""Many prompts from a file, a folder of images out: `fewpass batch`."""
