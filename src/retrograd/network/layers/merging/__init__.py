"""Merges: several inputs become one output."""
