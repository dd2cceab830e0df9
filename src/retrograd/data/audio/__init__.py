"""Sound files as data: where they lie, how they are decoded, and log-mel features of their frames."""
