"""Training: the configuration of a run, the loop, evaluation and prediction."""
