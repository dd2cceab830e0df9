"""Sentences on how a run ended."""

from __future__ import annotations

from retrograd.present.numbers import duration
from retrograd.record.events import INTERRUPTED

ASKED = "asked to stop "  # begins the recorded sentence of an interrupted run
SENTENCES = {
    "epochs": "finished {finished} in {time}",
    "early stopping": "stopped early after {epochs} in {time}: {why}",
    "goal": "reached the goal after {epochs} in {time}: {why}",
    "converged": "converged after {epochs} in {time}: {why}",
    "perfect": "stopped after {epochs} in {time}: {why}",
    "time limit": "stopped at the time limit after {epochs} in {time}: {why}",
    "diverged": "diverged after {epochs} in {time}: {why}",
    "non-finite": "stopped by values that are not finite after {epochs} in {time}: {why}",
    **{reason: f"{reason} {{why}}, after {{time}}" for reason in INTERRUPTED},
}
OTHER = "stopped after {epochs} in {time}: {why}"  # a reason of another version


def ending(reason: str, sentence: str, epochs: int, seconds: float) -> str:
    """Return how a run ended, from the recorded reason and its sentence: `finished all 100 epochs in 1.7 s`."""
    counted = "1 epoch" if epochs == 1 else f"{epochs:,} epochs"
    finished = "the epoch" if epochs == 1 else f"all {counted}"
    why = sentence.removeprefix(ASKED) if reason in INTERRUPTED else sentence
    words = SENTENCES.get(reason, OTHER).format(epochs=counted, finished=finished, time=duration(seconds), why=why)
    return words.removesuffix(": ")
