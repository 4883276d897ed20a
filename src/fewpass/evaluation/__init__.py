"""The same prompts and seeds with several decoders: speed, quality and a report (`fewpass eval`)."""
