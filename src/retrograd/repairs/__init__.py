"""Repairs: patches to a configuration, tried with shared seeds and kept if they measure better."""
