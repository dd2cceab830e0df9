"""The further members of an ensemble: the same training from other seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from retrograd.base.keys import SEED_LIMIT
from retrograd.network.network import Variables
from retrograd.present.numbers import number
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
    """Return the outcome with the weights of all ensemble members stacked, and the number of members.

    Members use consecutive seeds for their initial weights, row order and random layers. One that meets non-finite
    values is left out. If training is asked to stop, only the first member is returned.
    """
    training = prepared.config.training
    if training.ensemble == 1 or first.error is not None:
        return first, 1
    members: list[Variables] = [first.variables]
    for index in range(1, training.ensemble):
        settings = dataclasses.replace(training, seed=(training.seed + index) % SEED_LIMIT)
        member = dataclasses.replace(prepared, config=dataclasses.replace(prepared.config, training=settings))
        outcome = trained_in_memory(member, asked_to_stop=asked)
        if reason := asked():
            stop = Stop(reason, f"asked to stop in member {index + 1} of {training.ensemble}")
            return first._replace(stop=stop), 1
        if outcome.error is not None:
            announce(Note(f"warning: member {index + 1} is left out: {outcome.error}"))
            continue
        best = (
            f"loss {number(watched(outcome.best), 4)} in epoch {outcome.best.epoch}"
            if outcome.best
            else "the initial weights"
        )
        announce(Note(f"member {index + 1} of {training.ensemble}, seed {settings.seed}: {best}"))
        members.append(outcome.variables)
    return first._replace(variables=stacked(members)) if len(members) > 1 else first, len(members)
