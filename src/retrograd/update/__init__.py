"""From gradients to new parameters: clipping, penalties, optimizers, schedules, the step. All register on import."""

from retrograd.update import adam, optimizers, penalties, plateau, schedules

__all__ = ["adam", "optimizers", "penalties", "plateau", "schedules"]
