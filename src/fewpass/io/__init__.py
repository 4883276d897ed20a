"""Files: prompts, images, settings. Nothing here imports the rest of fewpass."""
