"""Hyperparameter search: ranges, methods, studies on disk, the learning rate, the optimizer."""
