"""Folders of safetensors: what is read, and what is refused."""

import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from retrograd.base.errors import ModelFileError, UsageError
from retrograd.record.header import write_header
from retrograd.record.hub.family import plan
from retrograd.record.hub.folder import Folder
from retrograd.record.hub.gpt2 import GPT2
from retrograd.record.hub.tensors import Tensors

A = np.arange(6, dtype=np.float32).reshape(2, 3)


def write(path: Path, **arrays: np.ndarray) -> Path:
    path.write_bytes(write_header(arrays, {"format": "pt"}) + b"".join(array.tobytes() for array in arrays.values()))
    return path


def whole(tensors: Tensors, name: str, dtype: str = "float32") -> np.ndarray:
    return tensors.read(name, lambda tensor: {"": tensor}, {"": dtype})[""]


def test_numbers_of_16_bits_become_those_of_the_run(tmp_path):
    write(tmp_path / "model.safetensors", half=A.astype(np.float16), brain=A.astype(ml_dtypes.bfloat16), a=A)
    tensors = Tensors(tmp_path)
    for name in ("half", "brain", "a"):
        read = whole(tensors, name, "float64")
        assert read.dtype == np.float64
        assert (read == A).all()
        assert read.ctypes.data % 64 == 0  # so that JAX takes it over without a copy
    assert tensors.bytes == 6 * (2 + 2 + 4)


def test_shards_are_read_by_their_index(tmp_path):
    write(tmp_path / "one.safetensors", a=A)
    write(tmp_path / "two.safetensors", b=A + 1, stray=A)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    tensors = Tensors(tmp_path)
    assert set(tensors) == {"a", "b"}
    assert (whole(tensors, "b") == A + 1).all()
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "c": "one.safetensors"}}))
    with pytest.raises(ModelFileError, match=r"tensor 'c': missing"):
        Tensors(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "../one.safetensors"}}))
    with pytest.raises(ModelFileError, match="is not a safetensors file in this folder"):
        Tensors(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "three.safetensors"}}))
    with pytest.raises(ModelFileError, match="missing: three"):
        Tensors(tmp_path)


def test_too_little_memory_for_a_copy_is_reported_as_such(tmp_path, monkeypatch):
    def refuse(part, dtype):
        raise MemoryError("72 bytes")

    write(tmp_path / "model.safetensors", a=A)
    tensors = Tensors(tmp_path)
    monkeypatch.setattr("retrograd.record.hub.tensors._aligned", refuse)
    with pytest.raises(MemoryError, match="72 bytes"):
        whole(tensors, "a")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelFileError, match="truncated while being read"):
        whole(tensors, "a")


def test_a_pickle_is_not_opened_and_the_way_to_safetensors_is_named(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match=r"only pytorch_model.bin; .*safe_serialization=True"):
        Tensors(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"PK\x03\x04" + b"\x00" * 40)
    with pytest.raises(ModelFileError, match="may contain pickled objects: nothing in it was opened"):
        Tensors(tmp_path)


def header(entries: dict) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HOSTILE = {
    "empty": (b"", "not a whole safetensors file"),
    "long header": (struct.pack("<Q", 2**63) + b"{}", "extend beyond the file"),
    "truncated": (header({"a": ENTRY}) + b"\0" * 7, "truncated"),
    "too long": (header({"a": ENTRY}) + b"\0" * 9, "extra data after"),
    "overlap": (header({"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}}) + b"\0" * 12, "overlap"),
    "hole": (header({"a": ENTRY, "b": {**ENTRY, "data_offsets": [12, 20]}}) + b"\0" * 20, "hole"),
    "huge shape": (header({"a": {**ENTRY, "shape": [2**40, 2**40]}}) + b"\0" * 8, "larger than"),
    "negative": (header({"a": {**ENTRY, "data_offsets": [-8, 0]}}) + b"\0" * 8, "integers, 0 or larger"),
    "type": (header({"a": {**ENTRY, "dtype": "OBJ"}}) + b"\0" * 8, "unknown dtype"),
    "no object": (header({"a": 3}) + b"\0" * 8, "expected an object with dtype"),
    "not UTF-8": (struct.pack("<Q", 4) + b'{"\xff"', "not UTF-8"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused(tmp_path, kind):
    content, message = HOSTILE[kind]
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        Tensors(tmp_path)


def test_tensors_may_be_listed_in_another_order_than_their_bytes(tmp_path):
    entries = {"b": {**ENTRY, "data_offsets": [8, 16]}, "a": ENTRY}
    content = header(entries) + np.array([1, 2, 3, 4], np.float32).tobytes()
    (tmp_path / "model.safetensors").write_bytes(content)
    assert whole(Tensors(tmp_path), "b").tolist() == [3, 4]


def test_everything_that_does_not_fit_is_reported_at_once():
    params = {
        "tokens": {"weight": np.empty((5, 4))},
        "blocks/1/attention": {f"{part}_weight": np.empty((4, 4)) for part in ("query", "key", "value")},
        "mine": {"weight": np.empty((2, 2))},
    }
    shapes = {"transformer.wte.weight": (6, 4), "transformer.h.0.attn.c_attn.weight": (4, 12), "h.3.odd": (1,)}
    found = plan(GPT2, shapes, params)
    assert [str(problem) for problem in found.problems] == [
        "mine/weight: a gpt2 folder has no tensor for it",
        "tensor 'transformer.wte.weight': expected (5, 4) for tokens/weight, found (6, 4)",
        "tensor 'h.3.odd': the network has no parameter for it",
    ]
    assert [taken.key for taken in found.taken] == ["transformer.h.0.attn.c_attn.weight"]


def test_a_model_of_no_known_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(ModelFileError, match="unknown model_type 'mamba'; known: gpt2, bert, llama"):
        Folder(tmp_path).family()
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ModelFileError, match="not a JSON object"):
        _ = Folder(tmp_path).config
