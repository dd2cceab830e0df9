"""The remedies, by what they change; importing this package registers them."""

from retrograd.diagnosis.remedies import data, output, regularisation, structure, update

__all__ = ["data", "output", "regularisation", "structure", "update"]
