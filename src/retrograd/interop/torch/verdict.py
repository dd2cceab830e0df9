"""Failure first: whether the loop learns, judged by comparing its loss with that of a constant answer."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from retrograd.base.finding import Evidence
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.journal import Journal

State = Literal["learns", "ill", "unknown"]
FEWEST, SEEN = 30, 8  # minimum number of backward passes, and of losses read
SHARE = 0.95  # of the loss of a constant answer
UP = threshold("U06", "cosine")
MOST = 0.8  # share of the steps: momentum may turn a few
SQUARED, ABSOLUTE = {"mse_loss"}, {"l1_loss"}
BINARY = {"binary_cross_entropy", "binary_cross_entropy_with_logits"}
ENTROPY = {"cross_entropy"}
FLOORED = SQUARED | ABSOLUTE | BINARY | ENTROPY | {"smooth_l1_loss", "huber_loss"}


class Verdict(NamedTuple):
    """Whether the loop learns."""

    state: State
    sentence: str
    evidence: tuple[Evidence, ...] = ()


def trivial_loss(journal: Journal) -> float | None:
    """Return the loss of the best constant answer, from the answers read so far; None if it is unknown."""
    kinds = {call.kind for call in journal.loss_calls}
    if journal.parts > 1 or any("summed" in call.facts for call in journal.loss_calls):
        return None
    if kinds and kinds <= ENTROPY and len(journal.rows.labels) > 1:
        counts = np.array(list(journal.rows.labels.values()), float)
        shares = counts / counts.sum()
        return float(-(shares * np.log(shares)).sum())
    if not kinds or not journal.rows.y or not journal.rows.whole:
        return None
    y = np.concatenate(journal.rows.y)
    if kinds <= SQUARED:
        return float(y.var(0).mean())
    if kinds <= ABSOLUTE:
        return float(np.abs(y - np.median(y, 0)).mean())
    if kinds <= BINARY and y.min() >= 0 and y.max() <= 1:
        p = np.clip(y.mean(0), 1e-12, 1 - 1e-12)
        return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean())
    return None


def judge(journal: Journal) -> Verdict:
    """Return the verdict on the observations so far."""
    losses = journal.losses
    if losses.nonfinite:
        return Verdict(
            "ill", f"the loss is not finite since backward pass {losses.first_nonfinite}",
            (Evidence("losses that are not finite", losses.nonfinite),),
        )  # fmt: skip
    if journal.turns < FEWEST or losses.count < SEEN:
        return Verdict("unknown", f"{journal.turns} backward passes are too few to judge")
    start, end = losses.start(), losses.end()
    trivial = trivial_loss(journal)
    evidence: tuple[Evidence, ...] = (Evidence("loss at the start", start), Evidence("loss at the end", end))
    # weights near 1 mean that passes are not divided
    scale = journal.accumulated if any(abs(w - 1) > 0.5 for _, w in journal.slopes) else 1
    if trivial is not None and scale == 1 and math.isfinite(trivial):
        evidence += (Evidence("loss of a constant answer", trivial),)
        words = f"the loss goes from {start:.4g} to {end:.4g}; that of a constant answer is {trivial:.4g}"
        learns = end <= SHARE * trivial
    else:
        words, learns = f"the loss goes from {start:.4g} to {end:.4g}", losses.fallen()
    if not floored(journal):
        return _without_floor(journal, evidence[:2])
    if learns:
        return Verdict("learns", f"the loss goes from {start:.4g} to {end:.4g}", evidence)
    if journal.others or journal.apart:
        return Verdict("unknown", f"{words}; two parts take turns in training, perhaps against one another", evidence)
    return Verdict("ill", words, evidence)


def floored(journal: Journal) -> bool:
    """Return whether the loss is known not to fall below 0, so that a fall is progress."""
    if any(expected for _, _, expected, _, _ in journal.targets) or min(journal.losses.means) < 0:
        return False
    if journal.floors:
        return all(journal.floors)
    return bool(journal.loss_calls)  # compiled programs have no graph to read


def goes_up(journal: Journal) -> bool:
    """Return whether the updates go along the gradient instead of against it."""
    cosines = [update.along for update in journal.updates if math.isfinite(update.along)]  # NaN has no direction
    return len(cosines) >= 2 and sum(cosine > UP for cosine in cosines) > MOST * len(cosines) and cosines[0] > UP


def is_utility(journal: Journal) -> bool:
    """Return whether the differentiated value is known to be the negative of a loss: the larger, the better."""
    return bool(journal.negated) and all(journal.negated)


def negated(journal: Journal) -> bool:
    """Return whether the negative of a loss is minimised, and no opponent is trained on the same outputs."""
    return is_utility(journal) and not goes_up(journal) and not journal.others and not journal.apart


def _without_floor(journal: Journal, evidence: tuple[Evidence, ...]) -> Verdict:
    """Return the verdict on a loss without a known floor: negated, or a sum in which one part has a floor.

    The loss of a constant answer is not used: the answers that were read may belong to another loss.
    """
    words = f"the loss goes from {journal.losses.start():.4g} to {journal.losses.end():.4g}"
    if negated(journal):
        return Verdict("ill", f"{words}, but it is negated: the lower it is, the worse the answers are", evidence)
    calls, weights = list(journal.loss_calls), dict(journal.slopes)
    kind = calls[0].kind if calls else ""
    values = [call.value for call in calls if call.kind == kind]
    domain = any(expected for _, _, expected, _, _ in journal.targets)
    if not journal.others and kind in FLOORED and weights.get(kind, 0.0) > 0 and not domain and len(values) > 2:
        last = sum(values[-2:]) / 2
        if values[0] >= 0 and last < SHARE * values[0]:
            return Verdict("learns", f"{words}, and its part {kind} from {values[0]:.4g} to {last:.4g}", evidence)
    return Verdict(
        "unknown", f"{words}; whether that is progress is unknown, since this loss has no known minimum", evidence
    )
