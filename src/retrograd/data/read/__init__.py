"""File formats: from bytes to a table of cells."""
