"""Whether a network learns what can be learned: scores, references, seeds, and the verdict."""
