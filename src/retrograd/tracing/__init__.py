"""One training step with every number."""
