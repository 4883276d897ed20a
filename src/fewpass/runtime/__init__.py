"""A transformer as a session: KV cache, forward passes, devices."""
