"""What a file takes: the network's columns, or the user's rows with the preprocessing inside."""
