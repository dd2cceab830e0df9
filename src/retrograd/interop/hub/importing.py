"""A configuration for the pretrained model in a folder: its network, its tokenizer, and where its weights lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from retrograd.base.annotations import show
from retrograd.base.document import write_document
from retrograd.base.errors import ConfigError, ModelFileError, RetrogradError
from retrograd.data.cells.vocabulary import tokenizer_of
from retrograd.present.numbers import size
from retrograd.record.files import read_text
from retrograd.record.hub.family import Head
from retrograd.record.hub.folder import CONFIG, TOKENIZER, Folder, read_object

SAMPLES = {"vocabulary": "tales", "classes": "reviews"}  # built-in texts, to try the model on
USUAL_LENGTH = 128  # tokens of a text; attention takes room by its square
MAX_TOKENIZER_BYTES = 2**25
NAMES = {  # of the marks in tokenizer_config.json, the first that is there
    "padding": ("pad_token", "eos_token", "unk_token"),
    "unknown": ("unk_token", "eos_token"),
    "start": ("cls_token", "bos_token", "eos_token"),
    "end": ("sep_token", "eos_token"),
}
NUMBERS = {  # of the marks in config.json
    "padding": ("pad_token_id", "eos_token_id"),
    "unknown": ("unk_token_id", "eos_token_id"),
    "start": ("cls_token_id", "bos_token_id", "eos_token_id"),
    "end": ("sep_token_id", "eos_token_id"),
}


class Imported(NamedTuple):
    """A configuration as YAML, and what is to be said of it."""

    text: str
    notes: tuple[str, ...]


def import_folder(
    folder: str | Path, *, head: Head | None = None, data: str | None = None, target: str | None = None
) -> Imported:
    """Return the configuration of a pretrained model in a local folder (GPT-2, BERT, LLaMA, Mistral, Qwen 2).

    head: `vocabulary` continues texts, `classes` sorts them; else as the model's own does, for BERT `classes`. data:
    the file or folder of texts that it is to learn from, a built-in unless given; target: the column of its classes.

    Raises:  UsageError for a folder without these files; ModelFileError for what no network here can compute
    """
    at = Folder(Path(folder))
    family = at.family()
    chosen: Head = head or ("classes" if family.name == "bert" else "vocabulary")
    try:
        entries = family.entries(at.config, chosen)
    except RetrogradError as error:
        raise type(error)([p._replace(where=f"{folder}/{p.where}") for p in error.problems]) from None
    tensors = at.tensors
    text, notes = _text_settings(at, chosen)
    plain: dict[str, Any] = {"name": Path(folder).resolve().name.replace(" ", "_") or family.name}
    if text:
        source: dict[str, Any] = {"path": data} if data else {"builtin": SAMPLES[chosen]}
        plain["data"] = {**source, **({"target": target} if target else {}), "text": text}
    plain["network"] = entries
    plain["optimizer"] = {"adamw": {"learning_rate": 5e-5}}
    plain["weights"] = {"path": str(folder), "missing": "init" if chosen == "classes" else "error"}
    plain["training"] = {"epochs": 3, "batch_size": 16}
    kind = f"{at.config.get('model_type')}, {len(tensors)} tensors, {size(tensors.bytes)}"
    heading = [
        f"# Written by `retrograd import`: {kind}.",
        "# What dropped numbers in pretraining is left out.",
    ]
    if not text:
        heading.append("# No tokenizer.json: give `data:`, or columns of identifiers from Python.")
    elif not data:
        heading.append("# The data are built-in texts to try it on; `path: FILE` in place of `builtin:` takes yours.")
    return Imported("\n".join([*heading, write_document(plain)]), tuple(notes))


def _text_settings(at: Folder, head: Head) -> tuple[dict[str, Any], list[str]]:
    """Return the `text:` section for a tokenizer beside the weights, and notes; nothing where there is none."""
    path = at.path / TOKENIZER
    if not path.exists():
        return {}, [f"{at.path}: no {TOKENIZER}, so the configuration has no data"]
    places = at.config.get("max_position_embeddings", at.config.get("n_positions", USUAL_LENGTH))
    settings: dict[str, Any] = {"next": True} if head == "vocabulary" else {}
    settings |= {"unit": "tokenizer", "tokenizer": str(path), "special": _marks(at)}
    return settings | {"length": min(USUAL_LENGTH, places if isinstance(places, int) else USUAL_LENGTH)}, []


def _marks(at: Folder) -> dict[str, int]:
    """Return the identifiers that stand for no token, as the tokenizer or config.json names them."""
    tokenizer = tokenizer_of(read_text(at.path / TOKENIZER, MAX_TOKENIZER_BYTES))
    named = {**_stored(at, "special_tokens_map.json"), **_stored(at, "tokenizer_config.json")}

    def of(mark: str) -> Iterator[int]:
        for name in NAMES[mark]:
            token = named.get(name)
            text = token.get("content") if isinstance(token, dict) else token
            if not isinstance(text, str | None):
                message = f"expected a token as text, or as an object with `content`; found {show(token)}"
                raise ModelFileError(message, where=f"{at.path}: {name} of its tokenizer")
            number = tokenizer.token_to_id(text) if text else None
            if number is not None:
                yield int(number)
        for name in NUMBERS[mark]:
            number = at.config.get(name)
            number = number[0] if isinstance(number, list) and number else number
            if type(number) is int:
                yield number

    marks = {mark: next(of(mark), None) for mark in NAMES}
    lacking = [mark for mark, number in marks.items() if number is None]
    if lacking:
        raise ConfigError(f"no token is known for {', '.join(lacking)}", where=f"{at.path}/{CONFIG}",
                          cure="add tokenizer_config.json with eos_token, pad_token and the like")  # fmt: skip
    return {mark: number for mark, number in marks.items() if number is not None}


def _stored(at: Folder, name: str) -> dict[str, Any]:
    return read_object(at.path / name) if (at.path / name).exists() else {}
