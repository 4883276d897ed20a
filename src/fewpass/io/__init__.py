"""Files: prompts, images, settings."""
