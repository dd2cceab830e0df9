"""Training in several processes, on one machine or many: who takes part, which rows and slices are whose."""
