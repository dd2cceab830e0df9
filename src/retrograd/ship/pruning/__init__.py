"""Units, channels and heads removed from a trained network, which becomes smaller and is trained further."""
