"""The published algorithms and our own, as values made of parts."""
