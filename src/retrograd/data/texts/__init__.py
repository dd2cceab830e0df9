"""Texts as data: tokens, vocabularies, and sequences of identifiers with their masks."""
