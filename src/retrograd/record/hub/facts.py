"""The settings in a config.json, each checked where it is read; what these networks cannot be is refused by name."""

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
    """Settings of a model; `number` and the like raise ModelFileError for a value that cannot be."""

    def __init__(self, config: Mapping[str, Any], kind: str) -> None:
        self.config, self.kind = config, kind

    def number(self, name: str, usual: int) -> int:
        """Return a positive whole number."""
        value = self.config.get(name, usual)
        if type(value) is not int or not 0 < value < 2**31:
            self.refuse(name, "expected a positive integer")
        return value

    def positive(self, name: str, usual: float) -> float:
        """Return a number above 0."""
        value = self.config.get(name, usual)
        if type(value) not in (int, float) or not value > 0:
            self.refuse(name, "expected a number > 0")
        return float(value)

    def activation(self, name: str, usual: str) -> Any:
        """Return an activation as a configuration writes it."""
        value = self.config.get(name, usual)
        if not isinstance(value, str) or value not in ACTIVATIONS:
            self.refuse(name, f"expected one of {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[value]

    def must_be(self, name: str, expected: Any, usual: Any) -> None:
        """Refuse a model with another value: its formula is not that of the network."""
        if self.config.get(name, usual) != expected:
            self.refuse(name, f"a {self.kind} can be imported where it is {show(expected)}")

    def classes(self) -> int | str:
        """Return how many classes a head of this model has; those of the data where it has none."""
        architectures = self.config.get("architectures") or []
        if not isinstance(architectures, list):
            self.refuse("architectures", "expected a list of names")
        if not any("SequenceClassification" in str(name) for name in architectures):
            return "classes"
        labels = self.config.get("id2label")
        return len(labels) if isinstance(labels, dict) and labels else 2

    def tokens(self, units: int, vocabulary: int) -> dict[str, Any]:
        """Return the embedding of tokens; the row of the padding learns nothing, if the model names one."""
        padding = self.config.get("pad_token_id")
        is_row = type(padding) is int and 0 <= padding < vocabulary
        settings = {"units": units, "vocabulary": vocabulary} | ({"padding": padding} if is_row else {})
        return {"embedding": settings, "name": "tokens"}

    def tied(self, tied: Any) -> dict[str, Any]:
        """Return what an entry adds to share the embedding's weights, if it does."""
        return {"share": {"weight": "tokens/weight.T"}} if tied else {}

    def decoder_head(self, head: Head, vocabulary: int, tied: Any) -> list[Any]:
        """Return the last layers: logits of each next token, or of classes from the mean over a text's tokens."""
        if head == "classes":
            mean = {"global_average_pool": {}, "name": "mean", "inputs": ["blocks", "mask"]}
            return [mean, {"dense": "classes", "name": "classifier"}]
        return [{"dense": {"units": vocabulary, "bias": False}, "name": "head", **self.tied(tied)}]

    def rotary(self) -> dict[str, Any]:
        """Return the settings of rotary positions; newer files keep them together, older ones apart."""
        together = self.config.get("rope_parameters") or {}
        scaling = self.config.get("rope_scaling") or together or {}
        if not isinstance(scaling, dict) or not isinstance(together, dict):
            self.refuse("rope_scaling", "expected an object")
        merged = Facts({**self.config, **together, **scaling}, self.kind)
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
            self.refuse("rope_scaling", "expected the type default, linear or llama3")
        return settings

    def refuse(self, name: str, expected: str) -> NoReturn:
        """Raise ModelFileError for one setting."""
        raise ModelFileError(f"{expected}, found {show(self.config.get(name))}", where=f"config.json: {name}")
