"""The command line; no arithmetic here."""
