"""What is done with gradients: clipping, penalties, optimizers, schedules. Importing this package registers them all."""

from retrograd.update import optimizers, penalties, plateau, schedules

__all__ = ["optimizers", "penalties", "plateau", "schedules"]
