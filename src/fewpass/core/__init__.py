"""The loop, and what algorithms and models have in common. Nothing here imports transformers."""
