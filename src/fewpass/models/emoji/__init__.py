"""`emoji`, a bundled model: a small Janus checkpoint that draws emoji scenes and its prompts."""
