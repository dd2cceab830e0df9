"""Repairs: patches to a configuration, tried with shared seeds and kept when they measured better."""
