"""Data: from files, arrays and built-in sets to batches, with a preprocessing that a model file can carry."""
