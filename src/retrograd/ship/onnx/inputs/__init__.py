"""The inputs of a file: the network's columns, or the user's rows, with the preprocessing inside."""
