"""Using trained networks: evaluation, predictions, generated texts."""
