"""Repairs: patches to a configuration, tried with shared seeds and kept if they score better."""
