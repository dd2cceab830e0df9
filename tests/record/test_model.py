from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import struct
import zipfile

import jax
import jax.numpy as jnp
import joblib
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from retrograd.base.errors import ModelFileError, ResourceError, UsageError
from retrograd.record import header as header_module
from retrograd.record.model import check_fits, load_model, save_model
from retrograd.record.sealed import NewerFormatError

CONFIG = {"name": "xor", "network": [{"dense": 3}], "note": "日本 \udc80"}
PREPROCESSING = {"mean": [0.1, 5e-324], "words": ["<unseen>", "é"]}
FACTS = {"metrics": {"validation": {"accuracy": float("nan")}}, "seed": 2**32 - 1}
PARAMS = {"block_1/dense": {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3, np.float32)}}
STATE = {"batch_norm": {"mean": np.ones(3, np.float32)}}
DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "bfloat16", "float32", "float64"]


def save(path, params=PARAMS, state=STATE, *, config=CONFIG, preprocessing=PREPROCESSING, facts=FACTS):
    save_model(path, params, state, config=config, preprocessing=preprocessing, facts=facts)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def refused(path, match):
    with pytest.raises(ModelFileError, match=f"(?i){match}") as caught:
        load_model(path)
    assert caught.value.exit_code == 4
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


# ------------------------------------------------------------------------------------------------------- round trip


def test_a_model_comes_back_as_it_was(path):
    model = load_model(save(path))
    for tree, original in ((model.params, PARAMS), (model.state, STATE)):
        assert tree.keys() == original.keys()
        for node in original:
            assert tree[node].keys() == original[node].keys()
            for name, array in original[node].items():
                np.testing.assert_array_equal(tree[node][name], array, strict=True)
    assert model.config == CONFIG
    assert model.preprocessing == PREPROCESSING
    assert model.facts == {"metrics": {"validation": {"accuracy": "nan"}}, "seed": 2**32 - 1}


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back_bit_for_bit(path, dtype):
    dtype = np.dtype(dtype)
    kinds = {"matrix": (2, 3), "scalar": (), "empty": (0, 5), "long": (11,)}
    arrays = {}
    for name, shape in kinds.items():
        bits = np.random.default_rng(0).integers(0, 2 if dtype == np.bool_ else 256, (*shape, dtype.itemsize), np.uint8)
        arrays[name] = bits.view(dtype).reshape(shape)
    found = load_model(save(path, {"node": arrays}, {})).params["node"]
    for name, array in arrays.items():
        assert found[name].dtype == dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_arrays_of_any_layout_and_of_jax_are_stored_alike(path):
    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    forms = {"jax": jnp.asarray(plain), "fortran": np.asfortranarray(plain), "big": plain.astype(">f4")}
    forms["strided"] = np.repeat(plain, 2, axis=1)[:, ::2]
    found = load_model(save(path, {"node": forms}, {})).params["node"]
    for array in found.values():
        np.testing.assert_array_equal(array, plain, strict=True)


def test_names_may_be_of_any_script_and_trees_may_be_empty(path):
    found = load_model(save(path, {"блок/слой é": {"вес": np.ones(1)}}, {"empty": {}}))
    assert list(found.params["блок/слой é"]) == ["вес"]
    assert found.state == {}
    assert load_model(save(path, {}, {}, config={}, preprocessing={}, facts={})).params == {}


def test_equal_models_are_equal_files_whatever_the_order_of_their_parts(tmp_path):
    shuffled = {node: dict(reversed(arrays.items())) for node, arrays in reversed(PARAMS.items())}
    first, second = save(tmp_path / "a"), save(tmp_path / "b", shuffled)
    assert first.read_bytes() == second.read_bytes()


def test_any_program_that_reads_safetensors_reads_a_model(path):
    arrays = {
        "a": np.ones(3, np.int8),
        "b": np.full((2, 2), 0.1),
        "c": np.array(True),
        "d": np.zeros((0, 2), np.float16),
    }
    found = safetensors.numpy.load_file(save(path, {"node": arrays}, STATE))
    assert found.keys() == {"params/node/a", "params/node/b", "params/node/c", "params/node/d", "state/batch_norm/mean"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[f"params/node/{name}"], array, strict=True)
    with safetensors.safe_open(path, "np") as opened:
        assert opened.metadata()["format"] == "retrograd"
        assert json.loads(opened.metadata()["config"]) == CONFIG


# -------------------------------------------------------------------------------------------------------- refusal to write


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([object()]), np.zeros(2, np.complex64), np.zeros(2, "M8[s]")]
)
def test_an_array_that_has_no_place_in_the_format_is_refused(path, array):
    with pytest.raises(UsageError, match=r"state/node/odd.*cannot be stored"):
        save(path, state={"node": {"odd": array}})
    assert not path.exists()


def test_a_random_key_is_refused_by_name(path):
    with pytest.raises(UsageError, match=r"state/node/key.*cannot be stored"):
        save(path, state={"node": {"key": jax.random.key(0)}})


def test_a_header_that_could_not_be_read_back_is_not_written(path):
    with pytest.raises(UsageError, match="limit the vocabulary"):
        save(path, preprocessing={"words": "x" * 2**24})
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        save(path, config={"layer": object()})
    assert not path.exists()


def test_a_full_disk_leaves_the_old_model(path, monkeypatch):
    before = save(path).read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="disk full") as caught:
        save(path, {"dense": {"weight": np.ones(3)}})
    assert caught.value.exit_code == 6
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


# ----------------------------------------------------------------------------------------------------------- damage


@pytest.fixture
def small(path):
    params = {"dense": {"weight": np.array([[1.5, -2.0]], np.float32)}, "odd": {"flag": np.array([True])}}
    return save(path, params, {}, config={"a": 1}, preprocessing={}, facts={})


def test_a_flipped_bit_is_found_in_every_byte(small):
    whole = small.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        small.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            load_model(small)


def test_every_truncation_is_found(small):
    whole = small.read_bytes()
    for length in range(len(whole)):
        small.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            load_model(small)


def test_damage_is_called_by_its_name(small):
    whole = small.read_bytes()
    small.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(small, "damaged.*checksum")
    small.write_bytes(whole[:-1])
    refused(small, "params/.*truncated")
    small.write_bytes(whole + bytes(100))
    refused(small, "extra data after the last tensor .100 bytes")
    small.write_bytes(whole[:100])
    refused(small, "not a retrograd model.*truncated")


@pytest.mark.parametrize("seed", range(200))
def test_random_damage_never_gives_another_error(small, seed):
    random = np.random.default_rng(seed)
    damaged = bytearray(small.read_bytes())
    for _ in range(random.integers(1, 8)):
        begin = int(random.integers(len(damaged)))
        end = begin + int(random.integers(0, 20))
        damaged[begin:end] = random.choice(list(b'{}[]",:0129e-\\u\x00\xff'), int(random.integers(0, 20))).tolist()
    if bytes(damaged) == small.read_bytes():
        return
    small.write_bytes(damaged)
    with pytest.raises(ModelFileError):
        load_model(small)


# ------------------------------------------------------------------------------------------------- files of others


class Payload:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def test_a_foreign_file_is_no_model_and_nothing_in_it_runs(path, tmp_path):
    canary = tmp_path / "canary"
    for protocol in range(6):
        path.write_bytes(pickle.dumps(Payload(canary), protocol))
        refused(path, "not a retrograd model")
    path.write_bytes(b"\x80\x04" + bytes(6) + bytes(2000))  # looks like a short header
    refused(path, "not a retrograd model.*pickle")
    joblib.dump({"x": Payload(canary)}, path)
    refused(path, "not a retrograd model.*pickle")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(canary)))
    refused(path, "not a retrograd model.*zip")
    with open(path, "wb") as stream:
        np.savez(stream, x=np.array([Payload(canary)], dtype=object))
    refused(path, "not a retrograd model.*pickled objects")
    with open(path, "wb") as stream:
        np.save(stream, np.ones(100))
    refused(path, "not a retrograd model.*NumPy")
    for content in (b"", b"\x02", b"\x02" + bytes(7) + b"{}", b"{}", b"\0" * 5000, b"plain text\n" * 50):
        path.write_bytes(content)
        refused(path, "not a retrograd model")
    assert not canary.exists()


def test_safetensors_of_another_program_are_no_model(path):
    safetensors.numpy.save_file({"weight": np.ones((2, 2))}, path)
    refused(path, "not a retrograd model.*another program")
    safetensors.numpy.save_file({"weight": np.ones((2, 2))}, path, {"format": "pt"})
    refused(path, "not a retrograd model.*another program")


def test_anything_but_a_regular_file_is_refused_and_never_blocks(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", "/dev/zero"):
        with pytest.raises(UsageError, match="not a regular file") as caught:
            load_model(path)
        assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match="not found"):
        load_model(tmp_path / "none")


def test_a_file_beyond_the_limit_is_not_read(small):
    with pytest.raises(ModelFileError, match="more than the limit of 10"):
        load_model(small, max_bytes=10)


# -------------------------------------------------------------------------------------------------- hostile headers


def crafted(path, tensors, *, body=b"", metadata=None, version="1", text=None):
    """Write a file whose checksum is right, whatever its header says."""
    texts = {"config": "{}", "preprocessing": "{}", "facts": "{}", **(metadata or {})}
    marks = {"format": "retrograd", "version": version, "checksum": "0" * 64, **texts}
    if text is None:
        text = json.dumps({"__metadata__": marks, **tensors}, separators=(",", ":")).encode()
    whole = struct.pack("<Q", len(text)) + text + body
    digest = hashlib.sha256(whole).hexdigest().encode()
    path.write_bytes(whole.replace(b'"checksum":"' + b"0" * 64, b'"checksum":"' + digest))
    return path


def tensor(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def test_a_crafted_file_that_breaks_no_rule_is_read(path):
    crafted(path, {"params/a/w": tensor(), "state/b/m": tensor("U8", (1,), (8, 9))}, body=bytes(9))
    np.testing.assert_array_equal(load_model(path).params["a"]["w"], np.zeros(2, np.float32), strict=True)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (tensor(shape=(1,)), "span 8 bytes.*take 4"),
        (tensor("F64", (1,), (0, 4)), "span 4 bytes.*take 8"),
        (tensor(shape=(2**40,)), "larger than the 8 bytes"),
        (tensor(shape=(2**40,), offsets=(0, 2**42)), "larger than the 8 bytes"),
        (tensor(shape=(0, 2**62), offsets=(0, 0)), "larger than"),
        (tensor(shape=(2**62,) * 32), "larger than"),
        (tensor(shape=(1,) * 33), "at most 32 integers"),
        (tensor(shape=(-2,)), "integers, 0 or larger.*-2"),
        (tensor(shape=(2.0,)), "integers, 0 or larger"),
        (tensor(shape=(True, 2)), "integers, 0 or larger"),
        (tensor(shape=(10**300,)), "integers, 0 or larger"),
        ({**tensor(), "shape": 2}, "integers, 0 or larger"),
        (tensor("V1000000000"), "unknown dtype 'V1000000000'"),
        (tensor("F8_E4M3"), "unknown dtype"),
        (tensor(["F32"]), "unknown dtype"),
        (tensor(offsets=(4, 12)), "gap of 4 bytes"),
        (tensor(offsets=(8, 0)), "gap"),
        (tensor(offsets=(0, -8)), "data_offsets must be two integers"),
        (tensor(offsets=(0, 8, 8)), "data_offsets must be two integers"),
        (tensor(offsets=(0, 8.0)), "data_offsets must be two integers"),
        (tensor(extra=1), "expected an object with dtype, shape and data_offsets"),
        ({"dtype": "F32"}, "expected an object"),
        ([], "expected an object"),
        (None, "expected an object"),
    ],
)
def test_a_tensor_that_breaks_a_rule_is_named_with_the_rule(path, broken, rule):
    crafted(path, {"params/a/w": broken}, body=bytes(8))
    refused(path, f"params/a/w.*{rule}")


@pytest.mark.parametrize(
    ("second", "rule"),
    [((4, 12), "overlap"), ((0, 8), "overlap"), ((12, 20), "gap of 4 bytes"), ((8, 16), "truncated")],
)
def test_tensors_must_follow_one_another(path, second, rule):
    tensors = {"params/a/w": tensor(), "params/b/w": tensor(offsets=second)}
    refused(crafted(path, tensors, body=bytes(12)), f"params/b/w.*{rule}")


def test_tensors_out_of_order_are_refused(path):
    tensors = {"params/a/w": tensor(offsets=(8, 16)), "params/b/w": tensor(offsets=(0, 8))}
    refused(crafted(path, tensors, body=bytes(16)), "params/a/w.*gap")


@pytest.mark.parametrize(
    "name", ["w", "params/w", "params//w", "params/a/", "other/a/w", "../../x/y", "params/a\x1b[2J/w"]
)
def test_a_tensor_of_another_name_is_refused(path, name):
    refused(crafted(path, {name: tensor()}, body=bytes(8)), "tensor .*its name is not")


def test_a_boolean_of_another_value_is_refused(path):
    refused(crafted(path, {"params/a/w": tensor("BOOL", (2,), (0, 2))}, body=b"\x01\x02"), "params/a/w.*booleans")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b'{"a/b/c": {}, "a/b/c": {}}', "duplicate key 'a/b/c'"),
        (b'{"a/b/c": {"dtype": "F32", "dtype": "F32"}}', "duplicate key 'dtype'"),
        (b'{"\xff": {}}', "not UTF-8 at byte 2"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested too deep"),
        (b'{"__metadata__": []}', "__metadata__"),
        (b'{"__metadata__": {"format": 1}}', "__metadata__"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number too long"),
        (b'{"a"', "damaged"),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(path, text, rule):
    refused(crafted(path, {}, text=text), rule)


@pytest.mark.parametrize("length", [0, 1, 2**24 + 1, 2**40, 2**63, 2**64 - 1])
def test_a_length_that_is_not_the_headers_is_refused(path, length):
    path.write_bytes(struct.pack("<Q", length) + b"{}" + bytes(100))
    refused(path, "not a retrograd model")


def test_a_header_larger_than_the_limit_is_not_read(path):
    with open(path, "wb") as stream:
        stream.write(struct.pack("<Q", header_module.MAX_HEADER_BYTES + 8) + b"{")
        stream.truncate(header_module.MAX_HEADER_BYTES + 1000)
    refused(path, "not a retrograd model.*more than 16,777,216")


def test_a_newer_format_is_distinguished_from_damage(path):
    crafted(path, {"params/a/w": {"packing": "new"}}, version="7")
    refused(path, "format 7.*this version only reads up to 1.*newer version of retrograd")
    with pytest.raises(NewerFormatError):
        load_model(path)


@pytest.mark.parametrize("version", ["0", "-1", "1.0", "", "٣", "01", "9" * 5000])
def test_a_version_that_never_was_is_damage(path, version):
    refused(crafted(path, {}, version=version), "damaged")


@pytest.mark.parametrize("checksum", ["", "\ud800" * 64, "A" * 64, "0" * 63])
def test_a_checksum_that_is_none_is_damage(path, checksum):
    refused(crafted(path, {}, metadata={"checksum": checksum}), "damaged")


@pytest.mark.parametrize("key", ["config", "preprocessing", "facts"])
@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"a": NaN}', '{"a": 1, "a": 1}', '{"a": 1e999}'])
def test_metadata_that_are_no_plain_json_are_refused(path, key, text):
    refused(crafted(path, {}, metadata={key: text}), f"{key} is damaged")


def test_a_checksum_inside_the_configuration_changes_nothing(path):
    tricky = {"checksum": "0" * 64, "text": '"checksum":"' + "0" * 64 + '"', "nested": '\\"checksum\\":\\"'}
    assert load_model(save(path, config=tricky)).config == tricky


# ------------------------------------------------------------------------------------------------------------ fit


def specs(**shapes):
    return {"dense_1": {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in shapes.items()}}


def test_weights_that_fit_pass(path):
    check_fits({"dense_1": {"weight": np.zeros((4, 8), np.float32)}}, specs(weight=(4, 8)))
    check_fits({}, {"relu_1": {}})


def test_everything_that_does_not_fit_is_named_at_once():
    found = {
        "dense_1": {"weight": np.zeros((4, 9), np.float32), "bias": np.zeros(8)},
        "dense_2": {"weight": np.zeros(1, ml_dtypes.bfloat16)},
    }
    with pytest.raises(ModelFileError) as caught:
        check_fits(found, specs(weight=(4, 8), bias=(8,), scale=(8,)), where="m.safetensors")
    assert str(caught.value).splitlines() == [
        "m.safetensors: dense_1/bias: expected float32, found float64",
        "m.safetensors: dense_1/scale: missing, expected float32 (8,)",
        "m.safetensors: dense_1/weight: expected (4, 8), found (4, 9)",
        "m.safetensors: dense_2/weight: not in the network; these are the weights of another network",
    ]
