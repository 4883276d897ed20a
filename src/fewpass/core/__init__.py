"""The loop, and the interfaces of decoders and models. Nothing here imports transformers."""
