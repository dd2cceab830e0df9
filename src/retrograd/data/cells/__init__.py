"""Cells: the meaning of the text in a column."""
