"""One training step with every number of it."""
