"""An OpenAI-compatible images API over one model. Needs the extra `serve`."""
