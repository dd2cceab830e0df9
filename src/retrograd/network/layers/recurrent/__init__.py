"""Recurrent layers and the loop through time that they share."""
