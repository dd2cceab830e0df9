"""Findings: what is wrong and where, the evidence, likely causes, and remedies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from retrograd.base.plain_text import short_powers
from retrograd.base.sentence import Sentence

Severity = Literal["note", "risk", "fault"]  # harmless while the network learns; may harm training; certainly harms it
Value = float | str
NOTHING: Mapping[str, Value] = {}


class Evidence(NamedTuple):
    """A measured quantity and its threshold."""

    quantity: str
    value: float
    threshold: float | None = None

    def __str__(self) -> str:
        limit = "" if self.threshold is None else f" (threshold {self.threshold:.4g})"
        return short_powers(f"{self.quantity} {self.value:.4g}{limit}")


class Finding(NamedTuple):
    """One finding. `path` is a node, parameter, column or setting; `remedies` are names in the registry of remedies.

    The message is the template `form` filled with `values`; the template identifies it in any language.
    """

    name: str
    path: str
    message: str
    evidence: tuple[Evidence, ...] = ()
    remedies: tuple[str, ...] = ()
    severity: Severity = "risk"
    code: str = ""  # its entry in the catalogue of symptoms
    confidence: float = 0.5  # that this is the cause, if the network does not learn
    form: str = ""
    values: Mapping[str, Value] = NOTHING

    @classmethod
    def of(cls, name: str, path: str, form: str, values: Mapping[str, Any], *facts: Any) -> Finding:
        """Return a finding whose message is the template `form` filled with `values`."""
        plain = {key: value.item() if hasattr(value, "item") else value for key, value in values.items()}
        message = short_powers(form.format(**plain)) if plain else form
        return cls(name, path, message, *facts)._replace(form=form, values=plain)

    @property
    def unsaid(self) -> tuple[Evidence, ...]:
        """Evidence whose value the message does not state."""
        return tuple(evidence for evidence in self.evidence if evidence.value not in self.values.values())

    def plain(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return self._asdict() | {
            "evidence": [evidence._asdict() for evidence in self.evidence],
            "values": dict(self.values),
        }

    @property
    def sentence(self) -> Sentence:
        """The finding in one sentence, with the settings that it mentions."""
        place = f"{self.path}: " if self.path else ""
        return Sentence(place) + self.message + "".join(f"; {evidence}" for evidence in self.unsaid)

    def __str__(self) -> str:
        return str(self.sentence)
