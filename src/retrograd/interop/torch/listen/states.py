"""The states of the observer, and the transitions between them."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """GONE: not observing. AWAKE: inspects forward passes, losses and steps. DROWSY: the inspection is over, but the
    next step still uses its gradients. ASLEEP: counts backward passes, and reads a loss now and then.
    """

    GONE = "gone"
    AWAKE = "awake"
    DROWSY = "drowsy"
    ASLEEP = "asleep"


FOLLOWS = {
    State.GONE: (State.AWAKE, State.GONE),  # the loop begins
    State.AWAKE: (State.DROWSY, State.GONE),  # the inspection or the loop ends
    State.DROWSY: (State.ASLEEP, State.GONE),  # the next backward pass
    State.ASLEEP: (State.AWAKE, State.GONE),  # time for another inspection
}


def after(old: State, new: State) -> State:
    """Return the new state, which must be a valid successor of the old one."""
    assert new in FOLLOWS[old], f"{old.value} -> {new.value}"
    return new
