"""Wrong input must lead to one clear message with the right exit code, and leave no files.

One table for the command line, one for the Python API, and a few real processes where signals, pipes and limits of the
system matter. Every identifier of the catalogue (A1 to F8) is tested here or left out with its reason.
"""

import gzip
import io
import itertools
import json
import os
import pickle
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import retrograd as rg
from retrograd.app.cli.main import main
from retrograd.base.errors import (
    ConfigError,
    DataError,
    DataTypeError,
    LabelError,
    NonFiniteError,
    ResourceError,
    ShapeError,
)
from retrograd.base.memory import memory_told
from retrograd.record.model import load_model, save_model
from retrograd.record.run import RunFolder

CATALOGUE = {"A": 9, "B": 11, "C": 13, "D": 11, "E": 8, "F": 8}
LEFT_OUT = {
    "D10": "a run cannot be resumed yet, so it cannot be resumed with another configuration or other data",
    "D11": "ONNX is not read",
    "E4": "the pass is a function: backward takes the tape, so it cannot come before forward",
    "E7": "the scikit-learn estimator does not exist yet",
    **{f"F{i}": "the page does not exist yet" for i in range(1, 9)},
}
TESTED: set[str] = set()


def covers(*ids):
    TESTED.update(ids)
    return lambda test: test


# ------------------------------------------------------------------------------------------------------------ material

HEADER = "x,z,label\n"
ROWS = [f"{i / 10},{i * 7 % 5},{'ab'[i % 2]}" for i in range(40)]
GOOD = HEADER + "\n".join(ROWS) + "\n"


def table(header: str = HEADER, **lines: str) -> str:
    """The good table with some lines replaced, l2 being the first row."""
    rows = list(ROWS)
    for name, text in lines.items():
        rows[int(name[1:]) - 2] = text
    return header + "\n".join(rows) + "\n"


def config(network="[{dense: 4}, tanh, {dense: 1}]", data="{path: d.csv}", training="{epochs: 2}", more="") -> str:
    return f"data: {data}\nnetwork: {network}\ntraining: {training}\n{more}"


class Payload:
    """An object whose unpickling would create the canary."""

    def __reduce__(self):
        return os.system, ("touch canary",)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def archive(*members: str) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w") as file:  # about a duplicate name
        for member in members:
            file.writestr(member, pickle.dumps(Payload()))
    return stream.getvalue()


def safetensors(header: Any, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(dtype="F32", shape=(1,), offsets=(0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def flipped(model: bytes) -> bytes:
    return model[:-3] + bytes([model[-3] ^ 1]) + model[-2:]


def resaved(path: Path, change: Callable[[dict, dict], None]) -> bytes:
    """A model file with a good checksum whose weights or configuration were changed."""
    stored = load_model(path)
    params = {node: dict(own) for node, own in stored.params.items()}
    parts = {"config": dict(stored.config), "preprocessing": stored.preprocessing, "facts": dict(stored.facts)}
    change(params, parts)
    out = path.with_name("changed")
    save_model(out, params, stored.state, **parts)
    content = out.read_bytes()
    out.unlink()
    return content


def with_weights(value: np.ndarray) -> Callable[[dict, dict], None]:
    return lambda params, parts: params["dense_1"].update(weight=value)


# ---------------------------------------------------------------------------------------------------- the command line


class Row(NamedTuple):
    """`files` are written before the command runs; a function makes a model file from a good one's path."""

    id: str
    command: str
    code: int
    match: str
    files: dict[str, Any] = {}


def bad_config(id: str, text: str | bytes, match: str, options: str = "", code: int = 2) -> Row:
    return Row(id, f"train bad.yaml {options}", code, match, {"bad.yaml": text})


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


IDAT = struct.pack(">I", 4) + b"IDAT" + b"\0" * 8  # too little, with a wrong checksum


def bomb(side: int) -> bytes:
    """A PNG whose header promises far more pixels than it holds."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + IDAT


def bad_data(id: str, content: str | bytes, match: str, options: str = "", name: str = "bad.csv") -> Row:
    return Row(id, f"train {name} --epochs 1 {options}", 2, match, {name: content})


def bad_model(id: str, content: Any, match: str) -> Row:
    return Row(id, "predict m.safetensors d.csv", 4, rf"m\.safetensors.*{match}", {"m.safetensors": content})


SGD = "optimizer: {{sgd: {{learning_rate: {}}}}}\n"
ALIASES = "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in itertools.pairwise("abcdefg"))
UNKNOWN_LAYER = r"bad\.yaml:2: network\.1: unknown layer kind"

TABLE = [
    Row("A1", "", 2, r"no command[\s\S]*usage:[\s\S]*train[\s\S]*predict[\s\S]*evaluate[\s\S]*schema"),
    Row("A2", "trian x.csv", 2, r"unknown command.*did you mean 'train'"),
    Row("A2 option", "--nope", 2, r"unknown option '--nope'"),
    Row("A2 verb's option", "train d.csv --epohcs 3", 2, r"--epohcs.*--epochs"),
    Row("A2 second verb", "runs shwo R", 2, r"shwo.*did you mean 'show'"),
    Row("A2 argument", "predict R", 2, r"missing argument 'DATA'"),
    Row("A3", "train --epochs -3 d.csv", 2, r"--epochs.*at least 1"),
    Row("A3 seed", "train --seed -1 d.csv", 2, r"--seed.*at least 0"),
    Row("A3 batch", "train --batch-size 0 d.csv", 2, r"--batch-size.*at least 1"),
    Row("A4", "train --epochs 1e400 d.csv", 2, r"--epochs.*integer"),
    Row("A4 nan", "train --lr nan d.csv", 2, r"--lr.*finite"),
    Row("A4 inf", "train --lr inf d.csv", 2, r"--lr.*finite"),
    Row("A4 set", "train c.yaml --set optimizer.adam.learning_rate=.inf", 2, r"--set optimizer\.adam.*finite"),
    Row("A4 budget", "repair c.yaml --budget 2weeks", 2, r"--budget.*updates \(20000\) or a time.*found '2weeks'"),
    Row("A4 choice", "trace c.yaml --format pdf", 2, r"--format: expected one of 'text', .*, found 'pdf'"),
    Row("A5", "train no/such.csv", 2, r"no/such\.csv.*not found"),
    Row("A5 diagnose", "diagnose no.csv", 2, r"no\.csv: not found; check the path"),
    Row("A5 config", "train no/such.yaml", 2, r"no/such\.yaml.*not found"),
    Row("A5 model", "predict nope d.csv", 2, r"no run 'nope'"),
    Row("A5 name", "train bad\udcff.csv", 2, r"not UTF-8"),
    Row("A6", "train .", 2, r"\.: the folder contains no tables"),
    Row("A6 out", "predict R d.csv --out .", 2, r"\.: not a regular file"),
    Row("A6 out folder", "predict R d.csv --out no/such/out.csv", 2, r"no/such: no such folder"),
    Row("A7", "train d.csv --run /proc/x", 6, r"/proc/x.*(read-only|permission)"),
    Row("A7 out", "predict R d.csv --out /proc/x.csv", 6, r"/proc/x\.csv.*(read-only|permission)"),
    Row("A7 chosen", "train d.csv --config-out /proc/x.yaml", 6, r"/proc/x\.yaml.*(read-only|permission)"),
    Row("A8", "train c.yaml --run R", 2, r"R: already contains a run.*--force"),
    Row("A8 table", "train d.csv --run R", 2, r"R: already contains a run.*--force"),
    Row("A8 other", "train c.yaml --run other", 2, r"other: not empty, and not a run", {"other/file": "mine"}),
    Row("A8 chosen", "train d.csv --config-out c.yaml", 2, r"--config-out c\.yaml: already exists"),
    bad_config("B1 empty", "", r"bad\.yaml: the file is empty; expected settings"),
    bad_config("B1 list", "[]", r"bad\.yaml: expected settings.*found a list"),
    bad_config("B1 null", "null", r"bad\.yaml: the file is empty"),
    bad_config("B1 text", '"x"', r"bad\.yaml: expected settings.*found a text"),
    bad_config("B2", '{"lr": 0.1,', r"bad\.yaml:1:12: .*opened at line 1, column 1 may"),
    bad_config("B2 yaml", "network:\n  - dense: [1,\n", r"bad\.yaml:3:1: not well-formed YAML: .*; the bracket opened at line 2, column 12 may be unclosed"),
    bad_config("B3", config(more="optimizer: {sgd: {learning_rte: 0.1}}\n"),
               r"bad\.yaml:4: .*learning_rte.*did you mean 'learning_rate'"),
    bad_config("B3 top", config(more="trainin: {}\n"), r"bad\.yaml:4: trainin.*did you mean 'training'"),
    bad_config("B3 set", config(), r"--set training\.epoch.*did you mean 'epochs'", "--set training.epoch=5"),
    bad_config("B3 no value", config(), r"--set.*KEY=VALUE.*'nonsense'", "--set nonsense"),
    bad_config("B3 no entry", config(), r"--set.*no list entry 7", "--set network.7.dense=3"),
    bad_config("B4", '{"name":"a","name":"b"}', r"bad\.yaml:1:13: duplicate key 'name'"),
    bad_config("B5", config("{}", training="{epochs: true, batch_size: 0.5}", more=SGD.format("'0.1'")),
               r":2: network.*\n.*:4: optimizer\.sgd\.learning_rate.*\n.*:3: training\.epochs.*\n.*:3: training\.batch"),
    bad_config("B6 nan", config(more=SGD.format(".nan")), r":4: .*learning_rate.*finite.*> 0"),
    bad_config("B6 zero", config(more=SGD.format("0")), r":4: .*learning_rate.*finite.*> 0"),
    bad_config("B6 minus", config(more=SGD.format("-1")), r":4: .*learning_rate.*finite.*> 0"),
    bad_config("B6 dropout", config("[{dropout: 1.0}, {dense: 1}]"), r":2: network\.0\.dropout.*\[0, 1\)"),
    bad_config("B6 momentum", config(more="optimizer: {sgd: {learning_rate: 1, momentum: 1}}"), r":4: .*momentum.*\[0, 1\)"),
    bad_config("B7", config("[{dense: 8, name: a}, {dense: 8, share: {weight: a/weight}}, {dense: 1}]"),
               r":2: network\.1: dense_1 .*'a/weight' has the shape \(2, 8\), expected \(8, 8\)"),
    bad_config("B7 values", config("[{dense: 4}, {dense: {units: 3, weight: [[1, 2, 3], [4, 5, 6]]}}]"),
               r":2: network\.1: dense_2 .*weight.*\(2, 3\).*\(4, 3\)"),
    bad_config("B7 reshape", config("[{dense: 4}, {reshape: [9]}]"), r":2: network\.1: reshape_1 .*\[9\] takes 9 values per example, but the input has 4"),
    bad_config("B7 add", config("[{dense: 4, name: a}, {dense: 3, name: b}, {add: {}, inputs: [a, b]}]"),
               r":2: network\.2: add_1 .*equal shape.*\(\d+, 4\) and \(\d+, 3\)"),
    bad_config("B7 residual", config("[{residual: [{dense: 3}]}, {dense: 1}]"), r":2: network\.0: residual_1/add"),
    bad_config("B7 loss", config("[{dense: 3}]"), r"binary_cross_entropy.*\(\d+, 3\).*\(\d+, 1\)"),
    bad_config("B7 one unit", config(more="loss: cross_entropy"), r":4: loss.*at least two units.*binary_cross_entropy"),
    bad_config("B7 size", config("[{dense: targets}]"), r":2: network\.0: dense_1.*do not define 'targets'"),
    bad_config("B7 inputs", config("[{dense: 1, inputs: nope}]"), r":2: network\.0: dense_1.*no .*column.*'nope'"),
    bad_config("B7 node", config(more="losses: {nope: {loss: hinge}}"), r":4: losses\.nope.*no node 'nope'"),
    bad_config("B7 goal", config(training="{epochs: 2, goal: {metric: accurcy, value: 1}}"),
               r"training\.goal\.metric: unknown metric 'accurcy'.*valid\.accuracy"),
    *(bad_config(f"B8 {words}", config(f"[{{reshape: {shape}}}, {layer}, flatten, {{dense: 1}}]"), rf":2: network\.1.*{words}")
      for words, shape, layer in (
          ("kernel", "[1, 2, 1]", "{conv2d: {filters: 2, kernel: 5, padding: valid}}"),
          ("stride", "[1, 2, 1]", "{conv2d: {filters: 2, kernel: 1, stride: 0}}"),
          ("groups", "[1, 1, 2]", "{conv2d: {filters: 2, kernel: 1, groups: 3}}"),
          ("heads", "[1, 2]", "{multi_head_attention: {heads: 3}}"))),
    bad_config("B9 nested", '{"a":' * 100_000, r"bad\.yaml:1.*nested too deep"),
    bad_config("B9 lists", "[" * 100_000, r"bad\.yaml:1.*nested too deep"),
    bad_config("B9 number", config(training="{epochs: " + "1" * 5000 + "}"), r"bad\.yaml:3.*number too long"),
    *(bad_config(f"B10 {kind}", config(f"[{{dense: 4}}, {kind}, {{dense: 1}}]"), UNKNOWN_LAYER)
      for kind in ("os.system", "Lambda", "Dense.__init__", "{kind: os.system}", "{module: os, class_name: system}")),
    bad_config("B11 tag", "name: !!python/object/apply:os.system ['touch canary']", r"bad\.yaml:1.*tag.*not allowed"),
    bad_config("B11 aliases", "a: &a [x, x, x, x]\n" + ALIASES, r"bad\.yaml:\d.*aliases"),
    bad_config("B11 url", config(data="{path: 'http://169.254.169.254/'}"), r"not found.*never fetched from a URL"),
    bad_config("B11 plain url", config(data="http://169.254.169.254/"), r":1: data.*unknown built-in"),
    bad_config("B11 vocabulary", config("[{embedding: {units: 2, vocabulary: /etc/passwd}}]"),
               r":2: .*vocabulary.*'/etc/passwd'"),
    bad_data("C1 empty", "", r"bad\.csv: the file is empty"),
    bad_data("C1 header", HEADER, r"bad\.csv.*no data rows"),
    bad_data("C2", table(l3="1,2", l4="1,2,a,b"), r"bad\.csv:3: line 3(.|\n)*bad\.csv:4: line 4"),
    bad_data("C2 many", HEADER + "1\n" * 100, r"and 95 more such lines"),
    bad_data("C3", table(l3="oops,1,a", l4="NaN,1,b", l5="inf,1,a", l6="1e400,1,b"),
             r"line 3, column 'x'.*\n.*line 5.*inf.*\n.*line 6.*1e400.*--set data.invalid=missing"),
    bad_data("C4 nul", table(l2="1\0,2,a"), r"bad\.csv:2: NUL.*line 2"),
    bad_data("C6 long", table(l2="y" * 8 * 2**20 + ",1,a"), r"bad\.csv:2: line 2.*too long"),
    bad_data("C6 quote", table(l2='"1,1,a'), r"bad\.csv:2: line 2.*quote"),
    bad_data("C7", table("x,x,label\n"), r"bad\.csv:1: duplicate column 'x'"),
    bad_data("C7 target", GOOD, r"bad\.csv: no column 'labl'; did you mean 'label'", "--target labl"),
    bad_data("C7 only target", "label\na\nb\n", r"bad\.csv: no feature columns.*target label"),
    bad_data("C8 one class", GOOD.replace("b\n", "a\n"), r"bad\.csv: column 'label'.*2 classes"),
    bad_data("C8 rare class", table(l9="1,1,c"), r"class 'c' has only 1 row"),
    bad_data("C9 empty", re.sub(",[0-4],", ",,", GOOD), r"bad\.csv: column 'z' is empty"),
    Row("C10 missing", "predict R new.csv", 2, r"new\.csv: missing column 'z'", {"new.csv": "x\n1\n"}),
    Row("C10 target", "evaluate R new.csv", 2, r"new\.csv: missing columns 'z', 'label'", {"new.csv": "x\n1\n"}),
    Row("A2 order", "predict d.csv R", 2, r"d\.csv: this is a data file.*retrograd predict R d\.csv"),
    Row("A2 order last", "evaluate d.csv last", 2, r"d\.csv: this is a data file.*retrograd evaluate last d\.csv"),
    Row("C11", "evaluate R new.csv", 2, r"new\.csv:3: line 3.*unseen label 'z'.*a, b",
        {"new.csv": "x,z,label\n1,2,a\n1,2,z\n"}),
    bad_config("C11 class", config("[{dense: 2}]", "digits", more="loss: cross_entropy"), r"label \d out of range \[0, 2\)"),
    bad_data("C12 bomb", gzip.compress(bytes(2**30), 1), r"bomb\.csv\.gz: .*--max-bytes", f"--max-bytes {2**29}",
             name="bomb.csv.gz"),
    bad_data("C12 size", GOOD, r"bad\.csv.*more than the limit of 100 bytes.*--max-bytes", "--max-bytes 100"),
    bad_data("C12 damaged", gzip.compress(GOOD.encode())[:-20], r"damaged gzip", name="bad.csv.gz"),
    bad_data("C13 npy", npy(np.zeros((10, 2)))[:-8], r"header says \(10, 2\).*160 bytes, but the file has 152", name="bad.npy"),
    bad_data("C13 objects", npz(x=np.array([Payload()])), r"pickled objects", name="bad.npz"),
    bad_data("C13 png", b"\x89PNG\r\n\x1a\n", r"bad\.png: not an image of a known kind", name="bad.png"),
    bad_data("C13 cut png", png(40, 40)[:-60], r"bad\.png: truncated image", name="bad.png"),
    bad_data("C13 bomb", bomb(50_000), r"bad\.png: .*pixels", name="bad.png"),
    bad_model("D1 pickle", pickle.dumps(Payload()), "not a retrograd model"),
    bad_model("D1 torch", archive("archive/data.pkl"), "not a retrograd model"),
    bad_model("D2", npz(weight=np.array([Payload()])), "not a retrograd model.*pickled objects"),
    bad_model("D3 above", archive("../../x"), "not a retrograd model"),
    bad_model("D3 absolute", archive("/tmp/canary"), "not a retrograd model"),
    bad_model("D3 twice", archive("x", "x"), "not a retrograd model"),
    bad_model("D4 shape", safetensors({"a": tensor(shape=[2**40])}, bytes(4)), "tensor 'a'.*larger than"),
    bad_model("D4 dtype", safetensors({"a": tensor("V1000000000")}, bytes(4)), "tensor 'a'.*dtype"),
    bad_model("D4 gzip", gzip.compress(bytes(2**26), 1), "not a retrograd model: a gzip file"),
    bad_model("D5 length", safetensors({}, length=2**60), "header.*beyond the file"),
    bad_model("D5 overlap", safetensors({"a": tensor(), "b": tensor()}, bytes(4)), "tensor 'b'.*overlap"),
    bad_model("D5 hole", safetensors({"a": tensor(offsets=(4, 8))}, bytes(8)), "tensor 'a'.*gap"),
    bad_model("D5 size", safetensors({"a": tensor("F64")}, bytes(8)), "tensor 'a'.*8"),
    bad_model("D5 negative", safetensors({"a": tensor(shape=[-1])}, bytes(4)), "tensor 'a'.*shape"),
    bad_model("D5 duplicate", safetensors(b'{"a":1,"a":2}'), "duplicate key 'a'"),
    bad_model("D5 bytes", safetensors(b'{"\xff":1}'), "not UTF-8"),
    bad_model("D5 deep", safetensors(b'{"a":' + b"[" * 999 + b"]" * 999 + b"}"), "nested too deep"),
    bad_model("D6 bit", lambda path: flipped(path.read_bytes()), "damaged.*checksum"),
    bad_model("D6 short", lambda path: path.read_bytes()[:-1], "truncated"),
    bad_model("D6 long", lambda path: path.read_bytes() + bytes(100), "extra data after the last tensor .100 bytes"),
    bad_model("D7 shape", lambda path: resaved(path, with_weights(np.zeros((2, 9), np.float32))),
              r"dense_1/weight.*\(2, 4\).*\(2, 9\)"),
    bad_model("D7 missing", lambda path: resaved(path, lambda params, _: params.pop("dense_2")), "dense_2/bias: missing"),
    bad_model("D7 extra", lambda path: resaved(path, lambda params, _: params.update(c={"b": np.zeros(1)})), "c/b: not in"),
    bad_model("D7 config", lambda path: resaved(path, lambda _, parts: parts["config"].update(network="nope")),
              "configuration.*'nope'"),
    bad_model("D7 facts", lambda path: resaved(path, lambda _, parts: parts["facts"].update(columns=[])), "configuration"),
    bad_model("D8", lambda path: path.read_bytes().replace(b'"version":"1"', b'"version":"7"'),
              "format 7.*this version only reads up to 1"),
    bad_model("D9", lambda path: resaved(path, with_weights(np.full((2, 4), np.nan, np.float32))),
              "non-finite.*dense_1/weight.*--allow-nonfinite"),
    bad_config("E8 memory", config(f"[{{dense: {2 * 10**9}}}, {{dense: 1}}]"), r"out of memory.*needs [\d,]+ bytes.*available",
               code=6),
]  # fmt: skip

WARNED = [
    Row("C4 gb18030", "predict R w.csv", 0, r"w\.csv.*GB18030.*标签.*`encoding:`",
        {"w.csv": GOOD.replace("0.3,1,b", "0.3,1,标签").encode("gb18030")}),
    Row("C4 latin-1", "predict R w.csv", 0, r"w\.csv.*Windows-1252.*préçis.*`encoding:`",
        {"w.csv": GOOD.replace("0.3,1,b", "0.3,1,préçis").encode("latin-1")}),
    Row("C9 constant", "train w.yaml --quiet", 0, r"w\.csv: constant.*z",
        {"w.csv": re.sub(",[0-4],", ",5,", GOOD), "w.yaml": config("[{dense: 1}]", "{path: w.csv}")}),
]  # fmt: skip
QUIET = [
    Row("C4 utf-16", "predict R w.csv", 0, "", {"w.csv": GOOD.encode("utf-16")}),
    Row("C5", "predict R w.csv", 0, "", {"w.csv": b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode() + b"\r\n"}),
    Row("D9 allowed", "predict m.safetensors d.csv --allow-nonfinite", 0, "",
        {"m.safetensors": lambda path: resaved(path, with_weights(np.full((2, 4), np.nan, np.float32)))}),
]  # fmt: skip
TESTED |= {row.id.split()[0] for row in (*TABLE, *WARNED, *QUIET)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a good table, a good configuration and a finished run of it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "d.csv").write_text(GOOD)
    (folder / "c.yaml").write_text(config())
    rg.train(folder / "c.yaml", folder=folder / "R")
    return folder


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """The working folder of one command, from which no socket can be opened."""
    folder = tmp_path / "place"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(socket, "socket", refuse)
    return folder


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("a socket was opened")


def obey(row: Row, folder: Path) -> int:
    for name, content in row.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        content = content(folder / "R" / "model.safetensors") if callable(content) else content
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return main(shlex.split(row.command))


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_a_bad_input_is_refused_in_a_few_clear_lines_and_leaves_nothing_behind(row, place, capsys):
    before = contents(place)
    code = obey(row, place)
    out, err = capsys.readouterr()
    assert code == row.code, err
    assert out == ""
    assert_clear(err, "error: ")
    assert re.search(row.match, err, re.IGNORECASE), err
    written = {str(place / part) for name in row.files for part in (name, Path(name).parent)}
    empty = {str(place / "runs"): None}  # a folder that holds no run does no harm
    left = {path: content for path, content in contents(place).items() if path not in written}
    assert left | empty == before | empty
    assert not Path("/tmp/canary").exists()


@pytest.mark.parametrize("row", WARNED, ids=lambda row: row.id)
def test_a_doubtful_input_is_used_with_a_warning(row, place, capsys):
    code = obey(row, place)
    out, err = capsys.readouterr()
    assert code == 0, err
    assert_clear(err, "warning: ")
    assert re.search(row.match, err, re.IGNORECASE), err
    assert "nan" not in out


@pytest.mark.parametrize("row", QUIET, ids=lambda row: row.id)
def test_an_odd_but_legal_input_is_used_without_a_word(row, place, capsys):
    assert obey(row, place) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("prediction,")


def assert_clear(err: str, begin: str) -> None:
    assert err.startswith(begin)
    assert 1 <= len(err.splitlines()) <= 6
    for word in ("Traceback", "site-packages", "/src/retrograd", "internal error"):
        assert word not in err


@covers("E8")
def test_training_that_diverges_ends_with_5_and_keeps_the_last_good_weights(place, capsys):
    row = bad_config(
        "E8", config("[{dense: 4}, relu, {dense: 1}]", more="loss: mean_squared_error\n" + SGD.format(1e30)), ""
    )
    assert obey(row._replace(command="train bad.yaml --quiet --run N"), place) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert_clear(err, "error: ")
    assert re.search(r"step \d+.*layer .* first non-finite.*kept the.*optimizer\.sgd\.learning_rate", err)
    assert RunFolder.open(place / "N").summary().stop_reason == "non-finite"
    assert main(["predict", "N", "d.csv"]) == 0
    assert "nan" not in capsys.readouterr().out.lower()


def test_an_internal_error_is_reported_as_one_and_its_place_shown_on_request(monkeypatch, capsys):
    monkeypatch.setattr("retrograd.app.cli.main.obey", lambda _: {}["lost"])
    assert main(["train"]) == 1
    assert re.fullmatch(r"error: internal error: KeyError: 'lost'; RETROGRAD_TRACEBACK=1 .*\n", capsys.readouterr().err)
    monkeypatch.setenv("RETROGRAD_TRACEBACK", "1")
    assert main(["train"]) == 1
    assert "Traceback" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------- the Python API

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
IDS = np.array([[0, 1], [2, 7], [4, 3], [1, 1]] * 5)
EMBEDDING = [{"embedding": {"units": 2, "vocabulary": 5}}, "flatten", {"dense": 1}]


@dataclass(frozen=True)
class Wrong(rg.Layer):
    """A user's layer with a slip in one of its directions."""

    in_forward: bool

    def forward(self, params, state, ctx, x):
        return rg.Forward(x @ jnp.ones((7, 2)) if self.in_forward else x)

    def backward(self, params, tape, dy):
        return rg.Backward((dy @ jnp.ones((7, 2)),))


def fit(x, y, network, root, **more):
    return rg.fit(x, y, network=network, epochs=3, root=root, **more)


def embed(ids, root):
    return fit(ids, X[:, 0], EMBEDDING, root, data=rg.DataSettings(keep_integers=True))


def dense_of(shape):
    network = rg.Network(rg.Dense(3, "relu"), rg.Dense(2))
    first = network.init(jax.random.key(0), {"x": jnp.zeros((2, 4))})
    record = rg.forward(network, first.params, first.state, rg.Context(), {"x": jnp.zeros(shape)})
    return record.outputs[network.output]


class Call(NamedTuple):
    id: str
    call: Callable[[Path], Any]
    error: type[Exception]
    match: str


CALLS = [
    *(Call(f"E1 {units!r}", lambda _, units=units: rg.Dense(units), ConfigError, "units.*positive integer")
      for units in (0, -1, 2.5, True, "3")),
    Call("E2 axis", lambda _: dense_of((2, 5)), ShapeError, r"dense_1.*expected \(batch, \.\.\., 4\), got \(2, 5\)"),
    Call("E2 rank", lambda _: dense_of((4,)), ShapeError, r"dense_1.*expected \(batch, \.\.\., 4\), got \(4,\)"),
    Call("E2 targets", lambda root: fit(X, X[:, :2], [rg.Dense(1)], root), ShapeError, r"\(\d+, 1\), got \(\d+, 2\)"),
    Call("E2 rows", lambda root: fit(X, X[:5, 0], [rg.Dense(1)], root), DataError, "x has 20, y has 5"),
    Call("E2 forward", lambda root: fit(X, X[:, 0], rg.Network(rg.Dense(2), Wrong(True)), root), ShapeError,
         r"network\.1: wrong_1.*\(2,\) and \(7,\)"),
    Call("E2 backward", lambda root: fit(X, X[:, 0], rg.Network(rg.Dense(1), Wrong(False)), root), ShapeError,
         r"network\.1: wrong_1 \(Wrong\): backward.*\(1,\) and \(7,\)"),
    Call("E3 large", lambda root: embed(IDS, root), LabelError, r"embedding_1.*id 7 out of range \[0, 5\)"),
    Call("E3 negative", lambda root: embed(IDS - 1, root), LabelError, r"embedding_1.*id -1 out of range \[0, 5\)"),
    Call("E3 predict", lambda root: embed(IDS % 5, root).predict(IDS), LabelError, r"id 7 out of range \[0, 5\)"),
    Call("E3 fraction", lambda root: fit(IDS + 0.5, X[:, 0], EMBEDDING, root), DataTypeError, "embedding_1.*integers"),
    Call("E3 nan", lambda root: fit(X * np.nan, X[:, 0], [rg.Dense(1)], root), DataError, "60 NaN"),
    Call("E3 label", lambda root: fit(X, np.arange(20) % 4, [rg.Dense(3)], root, loss="cross_entropy"), LabelError,
         r"label 3 out of range \[0, 3\)"),
    Call("E3 answer", lambda root: fit(X, X[:, 0] * 5, [rg.Dense(1)], root, loss="binary_cross_entropy"), DataError,
         "from 0 to 1.*mean_squared_error"),
    Call("E5", lambda root: fit(X[:5], X[:5, 0], [rg.Dense(2), rg.BatchNorm(), rg.Dense(1)], root, batch_size=1), ShapeError,
         r"batch_norm_1.*more than 1 value per channel"),
    Call("E8 diverging", lambda root: fit(X, X[:, 0], [rg.Dense(8, "relu"), rg.Dense(1)], root, optimizer=rg.SGD(1e30)),
         NonFiniteError, r"step \d+.*layer .* first non-finite.*kept the"),
    Call("E8 memory", lambda root: fit(X, X[:, 0], [rg.Dense(2 * 10**9), rg.Dense(1)], root), ResourceError,
         r"out of memory: training .*dense_1.*needs [\d,]+ bytes, [\d,]+ are available"),
]  # fmt: skip
TESTED |= {call.id.split()[0] for call in CALLS}


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row.id)
def test_a_call_with_a_bad_argument_raises_the_error_that_says_why(row, tmp_path):
    with pytest.raises(row.error, match=row.match) as caught:
        row.call(tmp_path)
    assert type(caught.value) is row.error
    assert [path for path in tmp_path.iterdir() if not (path / "model.safetensors").exists()] == []


@covers("E2")
def test_a_batch_without_rows_is_no_error():
    assert dense_of((0, 4)).shape == (0, 2)


@covers("E6")
def test_a_cross_entropy_that_ignores_every_row_is_zero():
    loss = rg.CrossEntropy(ignored=0)

    @jax.jit
    def both(y, t):
        step = loss.forward({}, {}, rg.Context(), y, t)
        return step.y, loss.backward({}, step.tape, jnp.ones(())).inputs[0]

    value, delta = both(np.ones((4, 3), np.float32), np.zeros(4, np.int32))
    assert value == 0
    assert not delta.any()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4398046511104 bytes."),
         r"out of memory: one array needs 4,398,046,511,104 bytes, [\d,]+ are available"),
        (MemoryError(), r"out of memory, [\d,]+ are available"),
    ],
)  # fmt: skip
@covers("E8")
def test_running_out_of_memory_is_reported_in_bytes(error, words):
    with pytest.raises(ResourceError, match=words), memory_told():
        raise error


# ------------------------------------------------------------------------------------------------------- real processes

AT_A_TERMINAL = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # background jobs ignore it
RETROGRAD = [sys.executable, "-c", f"{AT_A_TERMINAL}; from retrograd.app.cli.main import run; run()"]
PATIENCE = 120  # seconds; far more than any of these takes, so that a hang fails instead of blocking


@pytest.fixture
def start(trained, tmp_path):
    folder = tmp_path / "place"
    shutil.copytree(trained, folder)

    def begin(*arguments: str, before: list[str] = RETROGRAD, **more: Any) -> subprocess.Popen:
        return subprocess.Popen([*before, *arguments], cwd=folder, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)  # fmt: skip

    begin.folder = folder
    return begin


@covers("A1")
def test_the_command_answers_without_a_verb(start):
    process = start()
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (2, "")
    assert re.search("usage:.*\n.*train", err)


@covers("A9")
def test_a_reader_who_leaves_early_is_no_error(start):
    rows = "x,z\n" + "1,2\n" * 20_000  # more than a pipe holds
    (start.folder / "many.csv").write_text(rows)
    process = start("predict", "R", "many.csv")
    assert process.stdout.readline() == "prediction,probability_a,probability_b\n"
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait(PATIENCE) in (0, 141)


@covers("C12")
def test_a_table_too_large_for_the_process_is_refused_before_it_is_read(start):
    with (start.folder / "huge.csv").open("wb") as file:
        file.truncate(400 * 2**20)  # no block of it is on the disk
    limit = ["bash", "-c", f'ulimit -v {4 * 2**20}; exec "$@"', "-"]
    process = start("train", "huge.csv", "--set", "data.stream=never", before=[*limit, *RETROGRAD])
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (2, "")
    assert re.search(r"huge\.csv: .*ulimit -v.*--max-bytes", err)


@covers("A6", "C6", "C12")
def test_hostile_files_neither_block_nor_fill_the_memory(start):
    os.mkfifo(start.folder / "pipe.csv")
    (start.folder / "bomb.csv.gz").write_bytes(gzip.compress(bytes(2**30), 1))
    (start.folder / "line.csv").write_text(table(l2="y" * 8 * 2**20 + ",1,a"))
    code = (
        "import sys; from retrograd.app.cli.main import main; print([main(['train', name]) for name in sys.argv[1:]]);"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    process = start("pipe.csv", "/dev/zero", "bomb.csv.gz", "line.csv", before=[sys.executable, "-c", code])
    out, err = process.communicate(timeout=PATIENCE)
    codes, kibibytes = out.splitlines()
    assert codes == "[2, 2, 2, 2]"
    assert err.splitlines()[:2] == [f"error: {name}: not a regular file" for name in ("pipe.csv", "/dev/zero")]
    assert int(kibibytes) < 512 * 1024


@pytest.mark.parametrize(
    ("number", "code", "reason"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_training_with_everything_saved(start, number, code, reason):
    process = start("train", "c.yaml", "--run", "S", "--epochs", "100000000")
    while not process.stderr.readline().startswith("epoch"):
        assert process.poll() is None
    process.send_signal(number)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert re.match(rf"{reason} in epoch \d+, after", out)
    summary = RunFolder.open(start.folder / "S").summary()
    assert (summary.status, summary.stop_reason) == ("finished", reason)
    assert len(rg.load(start.folder / "S").predict(start.folder / "d.csv")) == 40


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_before_the_first_step_waits_and_a_second_one_acts_at_once(times, tmp_path, python_s_handler):
    def interrupt(*_: Any) -> None:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)

    values = {"data": "xor", "network": [{"dense": 1}], "training": {"epochs": 5}}
    if times == 1:
        with pytest.raises(KeyboardInterrupt, match=r"interrupted; the run so far is saved in .*S"):
            rg.train(values, folder=tmp_path / "S", started=interrupt)
        assert RunFolder.open(tmp_path / "S").summary().stop_reason == "interrupted"
        assert rg.load(tmp_path / "S").evaluate({"x": [[0, 0], [0, 1]], "y": [0, 1]})
    else:
        with pytest.raises(KeyboardInterrupt):
            rg.train(values, folder=tmp_path / "S", started=interrupt)
        assert not (tmp_path / "S").exists()
    assert signal.getsignal(signal.SIGINT) is python_s_handler


@pytest.fixture
def python_s_handler():
    """What a terminal gives; a shell starts background jobs with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


# ------------------------------------------------------------------------------------------------------------- the whole


def test_every_row_of_the_catalogue_is_tested_or_left_out_for_a_reason():
    ids = {f"{letter}{i}" for letter, count in CATALOGUE.items() for i in range(1, count + 1)}
    assert ids == TESTED | LEFT_OUT.keys()
    assert not TESTED & LEFT_OUT.keys()
