"""A file of prompts to a folder of images: `fewpass batch`."""
