"""Replicas of the server on a Ray cluster: `fewpass serve --ray`."""
