"""Cells: what the text in a column means."""
