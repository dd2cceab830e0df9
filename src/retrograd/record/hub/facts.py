"""The settings in a config.json, each checked when it is read; unsupported ones are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from retrograd.base.annotations import show
from retrograd.base.errors import ModelFileError
from retrograd.record.hub.family import Head

ACTIVATIONS: dict[str, Any] = {
    "gelu": "gelu",
    "gelu_new": {"gelu": {"approximate": True}},
    "gelu_pytorch_tanh": {"gelu": {"approximate": True}},
    "gelu_fast": {"gelu": {"approximate": True}},
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}


class Facts:
    """The settings of a model; `number` and the other getters raise ModelFileError for invalid values."""

    def __init__(self, config: Mapping[str, Any], kind: str) -> None:
        self.config, self.kind = config, kind

    def number(self, name: str, default: int) -> int:
        """Return a positive integer."""
        value = self.config.get(name, default)
        if type(value) is not int or not 0 < value < 2**31:
            self.refuse(name, "expected a positive integer")
        return value

    def positive(self, name: str, default: float) -> float:
        """Return a number > 0."""
        value = self.config.get(name, default)
        if type(value) not in (int, float) or not value > 0:
            self.refuse(name, "expected a number > 0")
        return float(value)

    def activation(self, name: str, default: str) -> Any:
        """Return an activation in the form used in configurations."""
        value = self.config.get(name, default)
        if not isinstance(value, str) or value not in ACTIVATIONS:
            self.refuse(name, f"expected one of {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[value]

    def must_be(self, name: str, expected: Any, default: Any) -> None:
        """Refuse a model with another value, whose formula would differ from that of the network."""
        if self.config.get(name, default) != expected:
            self.refuse(name, f"to import a {self.kind} it must be {show(expected)}")

    def classes(self) -> int | str:
        """Return the number of classes of the model's head, or "classes" (those of the data) if it has none."""
        architectures = self.config.get("architectures") or []
        if not isinstance(architectures, list):
            self.refuse("architectures", "expected a list of names")
        if not any("SequenceClassification" in str(name) for name in architectures):
            return "classes"
        labels = self.config.get("id2label")
        return len(labels) if isinstance(labels, dict) and labels else 2

    def tokens(self, units: int, vocabulary: int) -> dict[str, Any]:
        """Return the token embedding; the row of the model's padding token, if it has one, is not trained."""
        padding = self.config.get("pad_token_id")
        is_row = type(padding) is int and 0 <= padding < vocabulary
        settings = {"units": units, "vocabulary": vocabulary} | ({"padding": padding} if is_row else {})
        return {"embedding": settings, "name": "tokens"}

    def tied(self, tied: Any) -> dict[str, Any]:
        """Return the part of an entry that ties its weight to the token embedding; empty if it is not tied."""
        return {"share": {"weight": "tokens/weight.T"}} if tied else {}

    def decoder_head(self, head: Head, vocabulary: int, tied: Any) -> list[Any]:
        """Return the last layers: logits of each next token, or logits of classes from the mean over tokens."""
        if head == "classes":
            mean = {"global_average_pool": {}, "name": "mean", "inputs": ["blocks", "mask"]}
            return [mean, {"dense": "classes", "name": "classifier"}]
        return [{"dense": {"units": vocabulary, "bias": False}, "name": "head", **self.tied(tied)}]

    def rotary(self) -> dict[str, Any]:
        """Return the settings of rotary positions, which newer files group in `rope_parameters`."""
        grouped = self.config.get("rope_parameters") or {}
        scaling = self.config.get("rope_scaling") or grouped or {}
        if not isinstance(scaling, dict) or not isinstance(grouped, dict):
            self.refuse("rope_scaling", "expected an object")
        merged = Facts({**self.config, **grouped, **scaling}, self.kind)
        settings: dict[str, Any] = {"rotary_base": merged.positive("rope_theta", 10000.0)}
        if (share := merged.positive("partial_rotary_factor", 1.0)) != 1:
            settings["rotary_share"] = share
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        if kind == "linear":
            settings["rotary_stretch"] = merged.positive("factor", 1.0)
        elif kind == "llama3":
            settings["rotary_slow"] = {
                "factor": merged.positive("factor", 8.0),
                "length": merged.number("original_max_position_embeddings", 8192),
                "low": merged.positive("low_freq_factor", 1.0),
                "high": merged.positive("high_freq_factor", 4.0),
            }
        elif kind != "default":
            self.refuse("rope_scaling", "expected type default, linear or llama3")
        return settings

    def refuse(self, name: str, expected: str) -> NoReturn:
        """Raise ModelFileError for one setting."""
        raise ModelFileError(f"{expected}, found {show(self.config.get(name))}", where=f"config.json: {name}")
