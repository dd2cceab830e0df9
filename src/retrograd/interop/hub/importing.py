"""A configuration for the pretrained model in a folder: its network, its tokenizer, and the path of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from retrograd.base.annotations import show
from retrograd.base.document import write_document
from retrograd.base.errors import ConfigError, ModelFileError, RetrogradError
from retrograd.base.schema import parse
from retrograd.base.sentence import data_setting, sentence, setting
from retrograd.data.cells.vocabulary import tokenizer_of
from retrograd.data.dataset import load
from retrograd.data.settings import DataSettings
from retrograd.present.numbers import size
from retrograd.record.files import read_text
from retrograd.record.hub.family import Head
from retrograd.record.hub.folder import CONFIG, TOKENIZER, Folder, read_object

SAMPLES = {"vocabulary": "tales", "classes": "reviews"}  # built-in texts to try the model on
NEW_HEAD = "new_classifier"  # a name that no tensor of the folder goes to
USUAL_LENGTH = 128  # tokens per text; the memory for attention grows with its square
MAX_TOKENIZER_BYTES = 2**25
NAMES = {  # of the special tokens in tokenizer_config.json; the first one present counts
    "padding": ("pad_token", "eos_token", "unk_token"),
    "unknown": ("unk_token", "eos_token"),
    "start": ("cls_token", "bos_token", "eos_token"),
    "end": ("sep_token", "eos_token"),
}
NUMBERS = {  # of the special tokens in config.json
    "padding": ("pad_token_id", "eos_token_id"),
    "unknown": ("unk_token_id", "eos_token_id"),
    "start": ("cls_token_id", "bos_token_id", "eos_token_id"),
    "end": ("sep_token_id", "eos_token_id"),
}


class Imported(NamedTuple):
    """A configuration as YAML, and notes on it."""

    text: str
    notes: tuple[str, ...]


def import_folder(
    folder: str | Path, *, head: Head | None = None, data: str | None = None, target: str | None = None
) -> Imported:
    """Return the configuration for a pretrained model in a local folder (GPT-2, BERT, LLaMA, Mistral, Qwen 2).

    head: `vocabulary` continues texts, `classes` classifies them [default: `classes` for BERT, else `vocabulary`]
    data: file or folder of texts to train on [default: a built-in data set]
    target: the column of the classes

    Raises:  UsageError for a folder without these files; ModelFileError for models that no network here can compute
    """
    source = Folder(Path(folder))
    family = source.family()
    chosen: Head = head or ("classes" if family.name == "bert" else "vocabulary")
    try:
        entries = family.entries(source.config, chosen)
    except RetrogradError as error:
        raise type(error)([p._replace(where=f"{folder}/{p.where}") for p in error.problems]) from None
    tensors = source.tensors
    text, notes = _text_settings(source, chosen)
    plain: dict[str, Any] = {"name": Path(folder).resolve().name.replace(" ", "_") or family.name}
    if text:
        texts: dict[str, Any] = {"path": data} if data else {"builtin": SAMPLES[chosen]}
        plain["data"] = {**texts, **({"target": target} if target else {}), "text": text}
        if data and isinstance(count := entries[-1].get("dense"), int):  # the classes of the model's own head
            plain["data"]["task"] = "multiclass"  # two classes have an output each
            known = len(load(parse(DataSettings, plain["data"], "data")).classes or ())
            if known != count:
                entries = [*entries[:-1], {"dense": "classes", "name": NEW_HEAD}]
                del plain["data"]["task"]
                notes.append(f"the model's head has {count} classes, the data have {known}: {NEW_HEAD} replaces it")
    plain["network"] = entries
    plain["optimizer"] = {"adamw": {"learning_rate": 5e-5}}
    plain["weights"] = {"path": str(folder), "missing": "init" if chosen == "classes" else "error"}
    plain["training"] = {"epochs": 3, "batch_size": 16}
    kind = f"{source.config.get('model_type')}, {len(tensors)} tensors, {size(tensors.bytes)}"
    heading = [
        f"# Written by `retrograd import`: {kind}.",
        "# The dropout of pretraining is omitted.",
    ]
    if not text:
        heading.append(f"# No tokenizer.json: give {setting('data')}, or pass columns of token numbers from Python.")
    elif not data:
        changed = sentence("replace {} with {} for your own", data_setting("builtin"), data_setting("path", "FILE"))
        heading.append(f"# The data are built-in texts to try it on; {changed}.")
    return Imported("\n".join([*heading, write_document(plain)]), tuple(notes))


def _text_settings(source: Folder, head: Head) -> tuple[dict[str, Any], list[str]]:
    """Return the `text:` section for the tokenizer in the folder, and notes; an empty section without a tokenizer."""
    path = source.path / TOKENIZER
    if not path.exists():
        return {}, [f"{source.path}: no {TOKENIZER}, so the configuration has no data"]
    places = source.config.get("max_position_embeddings", source.config.get("n_positions", USUAL_LENGTH))
    settings: dict[str, Any] = {"next": True} if head == "vocabulary" else {}
    settings |= {"unit": "tokenizer", "tokenizer": str(path), "special": _special_tokens(source)}
    return settings | {"length": min(USUAL_LENGTH, places if isinstance(places, int) else USUAL_LENGTH)}, []


def _special_tokens(source: Folder) -> dict[str, int]:
    """Return the numbers of the special tokens, from the tokenizer or config.json."""
    tokenizer = tokenizer_of(read_text(source.path / TOKENIZER, MAX_TOKENIZER_BYTES))
    by_name = {**_stored(source, "special_tokens_map.json"), **_stored(source, "tokenizer_config.json")}

    def of(kind: str) -> Iterator[int]:
        for name in NAMES[kind]:
            token = by_name.get(name)
            text = token.get("content") if isinstance(token, dict) else token
            if not isinstance(text, str | None):
                message = f"expected a token as text, or as an object with `content`; found {show(token)}"
                raise ModelFileError(message, where=f"{source.path}: {name} of its tokenizer")
            number = tokenizer.token_to_id(text) if text else None
            if number is not None:
                yield int(number)
        for name in NUMBERS[kind]:
            number = source.config.get(name)
            number = number[0] if isinstance(number, list) and number else number
            if type(number) is int:
                yield number

    numbers = {kind: next(of(kind), None) for kind in NAMES}
    missing = [kind for kind, number in numbers.items() if number is None]
    if missing:
        raise ConfigError(f"no special token for {', '.join(missing)}", where=f"{source.path}/{CONFIG}",
                          cure="add tokenizer_config.json with eos_token, pad_token and the like")  # fmt: skip
    return {kind: number for kind, number in numbers.items() if number is not None}


def _stored(source: Folder, name: str) -> dict[str, Any]:
    return read_object(source.path / name) if (source.path / name).exists() else {}
