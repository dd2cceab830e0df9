"""Data: from files, arrays and built-in sets to batches, with preprocessing that is stored in the model file."""
