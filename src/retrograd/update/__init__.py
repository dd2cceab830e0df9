"""From gradients to new parameters: clipping, penalties, optimizers, schedules, the step. All register on import."""

from retrograd.update import optimizers, penalties, plateau, schedules

__all__ = ["optimizers", "penalties", "plateau", "schedules"]
