"""A rule for each layer whose channels can be removed; importing this package registers them all."""

from retrograd.ship.pruning.coupling import coupled as coupled
from retrograd.ship.pruning.rules import attention, passing, products, recurrent

__all__ = ["attention", "coupled", "passing", "products", "recurrent"]
