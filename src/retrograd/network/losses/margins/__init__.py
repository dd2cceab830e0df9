"""Losses with a margin: answers right by a sufficient margin cost nothing."""
