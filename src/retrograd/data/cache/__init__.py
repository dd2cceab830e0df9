"""Transformed columns that are kept in files, from which training reads them."""
