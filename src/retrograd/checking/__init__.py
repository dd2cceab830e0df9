"""Whether gradients are right: every layer's contract, whole networks, and functions of anybody."""
