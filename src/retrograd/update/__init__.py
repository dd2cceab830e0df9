"""From gradients to new parameters: clipping, penalties, optimizers, schedules, the step. All register on import."""

from retrograd.update import adam, muon, optimizers, penalties, plateau, resilient, schedules

__all__ = ["adam", "muon", "optimizers", "penalties", "plateau", "resilient", "schedules"]
