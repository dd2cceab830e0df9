"""Windows over a table ordered by time: a history is the input, and what follows it is the target."""
