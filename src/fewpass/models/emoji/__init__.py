"""`emoji`, a bundled model: a small Janus checkpoint that draws emoji scenes, its prompts and its scorer."""
