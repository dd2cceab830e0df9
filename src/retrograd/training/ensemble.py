"""The further members of an ensemble: the same training from other seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from retrograd.base.keys import SEED_LIMIT
from retrograd.network.network import Variables
from retrograd.record.events import Note
from retrograd.training.in_memory import trained_in_memory
from retrograd.training.loop.loop import Fitted
from retrograd.training.loop.stop import Stop, watched
from retrograd.training.prepare import Prepared
from retrograd.training.use.members import stacked


def further_members(
    prepared: Prepared,
    first: Fitted,
    announce: Callable[[Note], None] = lambda note: None,
    asked: Callable[[], str | None] = lambda: None,
) -> tuple[Fitted, int]:
    """Return a training with the weights of all members of its ensemble, and how many there are.

    Each has the seed after that of the one before, for its first weights, its order of rows and its random layers. One
    that meets values that are not finite is left out. Whoever is asked to stop leaves the first member alone.
    """
    training = prepared.config.training
    if training.ensemble == 1 or first.error is not None:
        return first, 1
    members: list[Variables] = [first.variables]
    for number in range(1, training.ensemble):
        own = dataclasses.replace(training, seed=(training.seed + number) % SEED_LIMIT)
        other = dataclasses.replace(prepared, config=dataclasses.replace(prepared.config, training=own))
        outcome = trained_in_memory(other, asked_to_stop=asked)
        if reason := asked():
            stop = Stop(reason, f"asked to stop in member {number + 1} of {training.ensemble}")
            return first._replace(stop=stop), 1
        if outcome.error is not None:
            announce(Note(f"warning: member {number + 1} is left out: {outcome.error}"))
            continue
        best = (
            f"loss {watched(outcome.best):.4g} in epoch {outcome.best.epoch}" if outcome.best else "the first weights"
        )
        announce(Note(f"member {number + 1} of {training.ensemble}, seed {own.seed}: {best}"))
        members.append(outcome.variables)
    return first._replace(variables=stacked(members)) if len(members) > 1 else first, len(members)
