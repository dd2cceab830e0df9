"""Sound files as data: finding them, decoding them, and computing log-mel features of their frames."""
