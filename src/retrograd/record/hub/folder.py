"""A folder with a pretrained model: its config.json, its family and its tensors."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrograd.base.annotations import show
from retrograd.base.errors import ModelFileError, UsageError
from retrograd.base.sentence import setting
from retrograd.record.files import read_text
from retrograd.record.hub.bert import BERT
from retrograd.record.hub.family import Family
from retrograd.record.hub.gpt2 import GPT2
from retrograd.record.hub.llama import LLAMA
from retrograd.record.hub.tensors import Tensors
from retrograd.record.strict_json import parse_json

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
MAX_CONFIG_BYTES = 2**20
FORCED = setting("map", "gpt2", within="weights") + ", bert or llama forces a family"
FAMILIES = {family.name: family for family in (GPT2, BERT, LLAMA)}


@dataclass(frozen=True)
class Folder:
    """A folder of a pretrained model."""

    path: Path

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """The contents of config.json.

        Raises:  UsageError if there is none; ModelFileError if it is not a JSON object
        """
        if not self.path.is_dir():
            raise UsageError("no such folder", where=str(self.path), cure="name the folder of a pretrained model")
        return read_object(self.path / CONFIG)

    @functools.cached_property
    def tensors(self) -> Tensors:
        """The tensors by name."""
        return Tensors(self.path)

    def family(self, name: str = "auto") -> Family:
        """Return the family with this name or, for `auto`, that of the model_type in config.json.

        Raises:  ModelFileError if no family has this type
        """
        if name != "auto":
            return FAMILIES[name]
        kind = self.config.get("model_type")
        for family in FAMILIES.values():
            if kind in family.kinds:
                return family
        known = ", ".join(kind for family in FAMILIES.values() for kind in family.kinds)
        raise ModelFileError(f"unknown model_type {show(kind)}", where=str(self.path / CONFIG),
                             cure=f"known: {known}; " + FORCED)  # fmt: skip


def read_object(path: Path) -> dict[str, Any]:
    """Read the JSON object in a small file."""
    try:
        stored = parse_json(read_text(path, MAX_CONFIG_BYTES))
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise ModelFileError(f"not a JSON object: {error}", where=str(path)) from None
    if not isinstance(stored, dict):
        raise ModelFileError(f"not a JSON object: {show(stored)}", where=str(path))
    return stored
