"""From gradients to new parameters: clipping, penalties, optimizers, schedules, the step. Importing registers all."""

from retrograd.update import adam, muon, optimizers, penalties, plateau, resilient, schedules

__all__ = ["adam", "muon", "optimizers", "penalties", "plateau", "resilient", "schedules"]
