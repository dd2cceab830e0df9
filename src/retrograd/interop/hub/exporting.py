"""Write a trained model in the format of the folder that its weights came from: same tensors and names, new values."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.errors import ModelFileError, UsageError
from retrograd.network.network import own_params
from retrograd.record.files import make_folder, write_file
from retrograd.record.header import DTYPES, write_header
from retrograd.record.hub.family import Family, joined
from retrograd.record.hub.folder import CONFIG, Folder
from retrograd.record.hub.tensors import ALONE, Tensor
from retrograd.record.tree import raw_bytes
from retrograd.ship.export import opened
from retrograd.training.run import Run
from retrograd.training.use.predict import Model

COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt",
          "tokenizer.model", "added_tokens.json", "generation_config.json")  # fmt: skip
FLOATS = tuple(DTYPES[name] for name in ("F64", "F32", "F16", "BF16"))


class Written(NamedTuple):
    """A written folder: the number of tensors, their bytes, and the names that the source did not have."""

    path: Path
    tensors: int
    bytes: int
    new: tuple[str, ...]


def export_folder(run: Run | Model | str | Path, folder: str | Path, *, runs: str | Path = "runs") -> Written:
    """Write a model whose weights came from a folder (`weights.path`) in the same format.

    Tensors keep their names and dtypes, adapters are added to the weights, and a new head gets the family's names, with
    its classes in config.json. Tensors that the network does not use (a head of another kind) are omitted.

    Raises:  UsageError for a model whose weights did not come from a folder, or a folder that exists; ModelFileError
             for parameters that have no tensor in such a folder
    """
    model, _ = opened(run, runs)
    weights, path = model.config.weights, Path(folder)
    if weights is None:
        message, cure = "its weights did not come from a folder of pretrained weights", "export it as ONNX or C instead"
        raise UsageError(message, where=model.config.name, cure=cure)
    if path.exists():
        raise UsageError("already exists", where=str(path), cure="choose another name")
    source = Folder(Path(weights.path))
    family = source.family(weights.map)
    params = {
        node.name: {name: np.asarray(value) for name, value in own_params(model.variables.params, node).items()
                    if name not in dict(node.share)}
        for node in model.network.nodes
    }  # fmt: skip
    parts, unplaced = family.tensors_of(params)
    if unplaced:
        *problems, last = [family.lacks(place) for place in unplaced]
        raise ModelFileError([*problems, last._replace(cure="export it as ONNX, or use only the imported layers")])
    names = {family.plain_name(name): name for name in source.tensors}
    arrays: dict[str, np.ndarray] = {}
    for part in parts.values():
        name = names.get(part.key, _new_name(family, part.key, source.tensors))
        dtype = source.tensors[name].dtype if name in source.tensors else _usual(source.tensors)
        arrays[name] = joined(part, params).astype(dtype)
    for key, name in names.items():
        if name not in arrays and _is_copy(family, key):
            arrays[name] = source.tensors.read(name, lambda whole: {0: whole}, {0: source.tensors[name].dtype})[0]
    new = tuple(name for name in arrays if name not in source.tensors)
    make_folder(path)
    stored = dict(sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])))
    write_file(path / ALONE, write_header(stored, {"format": "pt"}), *(raw_bytes(array) for array in stored.values()))
    config = _config(source.config, model, family, bool(new))
    write_file(path / CONFIG, json.dumps(config, indent=2, ensure_ascii=False).encode())
    for name in COPIED:
        if (source.path / name).exists():
            shutil.copyfile(source.path / name, path / name)
    return Written(path, len(arrays), sum(array.nbytes for array in arrays.values()), new)


def _new_name(family: Family, key: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the name for a tensor that the source does not have: heads get no prefix, others that of the rest."""
    if family.is_head(key):
        return key
    prefix = next((prefix for prefix in family.prefixes if any(name.startswith(prefix) for name in tensors)), "")
    return f"{prefix}{key}"


def _usual(tensors: Mapping[str, Tensor]) -> np.dtype:
    """Return the dtype that most tensors have."""
    counts = {dtype: sum(tensor.dtype == dtype for tensor in tensors.values()) for dtype in FLOATS}
    return max(FLOATS, key=lambda dtype: counts[dtype])


def _is_copy(family: Family, key: str) -> bool:
    """Return whether a tensor that holds no parameter still belongs to the model, as a buffer does."""
    return family.is_other(key) and not family.is_head(key)


def _config(stored: Mapping[str, Any], model: Model, family: Family, has_new: bool) -> dict[str, Any]:
    """Return the contents of config.json, with the classes of a newly trained head."""
    config = dict(stored)
    if "classifier" not in model.network.by_name or not has_new:
        return config
    units = np.shape(model.variables.params["classifier"]["weight"])[1]
    classes = model.classes if model.classes and len(model.classes) == units else range(units)
    labels = [str(label) for label in classes]
    config["architectures"] = [f"{family.kinds[0].capitalize()}ForSequenceClassification"]
    config["id2label"] = {str(i): label for i, label in enumerate(labels)}
    config["label2id"] = {label: i for i, label in enumerate(labels)}
    return config


def lines(written: Written) -> Iterator[str]:
    """Yield a summary as lines."""
    yield f"{written.path}: {written.tensors} tensors, {written.bytes:,} bytes, in the format of the source folder"
    if written.new:
        yield f"new tensors: {', '.join(written.new)}"
