"""Explanations of configurations, line by line, and the manual."""
