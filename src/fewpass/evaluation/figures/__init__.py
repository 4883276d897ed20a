"""The report's figures, drawn with matplotlib. Every function takes what was measured and returns a figure."""
