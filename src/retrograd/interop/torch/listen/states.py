"""How closely the observer listens: named states, and which of them follows which."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """GONE: hears nothing. AWAKE: hears forward passes, losses and steps, and reads them. DROWSY: the look is over,
    but the step that comes still uses what it left. ASLEEP: hears backward passes, and reads a loss now and then.
    """

    GONE = "gone"
    AWAKE = "awake"
    DROWSY = "drowsy"
    ASLEEP = "asleep"


FOLLOWS = {
    State.GONE: (State.AWAKE, State.GONE),  # the loop begins
    State.AWAKE: (State.DROWSY, State.GONE),  # enough was seen, or the loop ends
    State.DROWSY: (State.ASLEEP, State.GONE),  # the next backward pass
    State.ASLEEP: (State.AWAKE, State.GONE),  # time for another look
}


def after(old: State, new: State) -> State:
    """Return the new state, which must be one that follows the old one."""
    assert new in FOLLOWS[old], f"{old.value} -> {new.value}"
    return new
