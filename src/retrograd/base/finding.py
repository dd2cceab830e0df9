"""What was found odd or wrong: where, how it is known, why it may be, and what may help."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Severity = Literal["note", "risk", "fault"]  # harmless as long as the network learns; may spoil it; spoils it for sure


class Evidence(NamedTuple):
    """A measured quantity against its threshold."""

    quantity: str
    value: float
    threshold: float | None = None

    def __str__(self) -> str:
        limit = "" if self.threshold is None else f" (threshold {self.threshold:.4g})"
        return f"{self.quantity} {self.value:.4g}{limit}"

    @property
    def spellings(self) -> set[str]:
        """The value as sentences write it."""
        return {f"{self.value:{form}}" for form in (".2g", ".3g", ".4g", "g", ".0%", ".1%")}


NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?%?")


class Finding(NamedTuple):
    """One finding. `path` is a node, parameter, column or setting; `remedies` are names in the registry of remedies."""

    name: str
    path: str
    message: str
    evidence: tuple[Evidence, ...] = ()
    remedies: tuple[str, ...] = ()
    severity: Severity = "risk"
    code: str = ""  # in the catalogue of symptoms
    confidence: float = 0.5  # that this is the cause, if the network does not learn

    @property
    def unsaid(self) -> tuple[Evidence, ...]:
        """The evidence whose value the message does not name already, as a number or as a percentage."""
        named = {number.replace(",", "") for number in NUMBER.findall(self.message)}
        return tuple(each for each in self.evidence if not named & each.spellings)

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return place + self.message + "".join(f"; {each}" for each in self.unsaid)
