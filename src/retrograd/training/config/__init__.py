"""The configuration of a run, and how one is designed for a table."""
