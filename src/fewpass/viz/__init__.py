"""Colours and figures. Nothing here imports the rest of fewpass."""
