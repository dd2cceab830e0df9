"""Backpropagation: the pass, the contract that every layer keeps."""
