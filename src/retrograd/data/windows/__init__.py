"""Windows over a table that is ordered by time: a history goes in, what follows it is the target."""
