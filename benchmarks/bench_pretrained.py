"""Reading pretrained weights, and generating with them: peak memory, and seconds a token as texts become longer.

    python benchmarks/bench_pretrained.py [--layers 8] [--width 768]

Writes a GPT-2 of random numbers into a temporary folder. Memory is the peak beyond what the process had before it began
to read, as a multiple of the file. Time a token is measured with and without keys and values kept, in the same process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

import retrograd as rg
from retrograd.base.document import parse_document
from retrograd.data.cells.vocabulary import Vocabulary
from retrograd.data.texts.inputs import CorpusInputs
from retrograd.interop.hub.importing import import_folder
from retrograd.record.header import write_header
from retrograd.training.config.config import config_of
from retrograd.training.config.weights import WeightsSettings
from retrograd.training.pretrained import pretrained
from retrograd.training.use.decoding import CachedLogits, continuation
from retrograd.training.use.evaluate import Evaluator

TOKENS, PLACES = 50257, 1024


def write_model(folder: Path, layers: int, width: int) -> None:
    """Write config.json and random safetensors, tensor by tensor."""
    facts = {"n_embd": width, "n_head": width // 64, "n_layer": layers, "n_positions": PLACES, "vocab_size": TOKENS}
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", **facts}))
    shapes = dict(tensors(layers, width))
    blank = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    rng = np.random.default_rng(0)
    with open(folder / "model.safetensors", "wb") as stream:
        stream.write(write_header(blank, {"format": "pt"}))
        for shape in shapes.values():
            stream.write((0.02 * rng.standard_normal(shape, np.float32)).tobytes())


def tensors(layers: int, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield names and shapes of a GPT-2's tensors."""
    yield from {"wte.weight": (TOKENS, width), "wpe.weight": (PLACES, width)}.items()
    for i in range(layers):
        for name, ins, outs in (("attn.c_attn", 1, 3), ("attn.c_proj", 1, 1), ("mlp.c_fc", 1, 4), ("mlp.c_proj", 4, 1)):
            yield f"h.{i}.{name}.weight", (ins * width, outs * width)
            yield f"h.{i}.{name}.bias", (outs * width,)
        for norm in ("ln_1", "ln_2"):
            yield from ((f"h.{i}.{norm}.{part}", (width,)) for part in ("weight", "bias"))
    yield from (("ln_f.weight", (width,)), ("ln_f.bias", (width,)))


def memory(name: str) -> int:
    """Return VmRSS or VmHWM of this process in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def read(folder: Path) -> tuple[rg.Network, Any]:
    """Read the weights and print what that took."""
    network = rg.Network(*config_of(parse_document(import_folder(folder).text)).network)
    columns = {"x": jax.ShapeDtypeStruct((1, 8), np.int32)}
    expected = jax.eval_shape(lambda key: network.init(key, columns), jax.random.key(0))
    weights = pretrained(WeightsSettings(str(folder)), expected)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, start = memory("VmRSS"), time.perf_counter()
    variables = weights.variables(network, jax.random.key(0), columns)
    seconds, more = time.perf_counter() - start, memory("VmHWM") - before
    size = (folder / "model.safetensors").stat().st_size
    print(f"{size / 1e6:.0f} MB read in {seconds:.1f} s, peak memory {more / size:.2f} times the file")
    return network, variables


def generate(network: rg.Network, variables: Any) -> None:
    """Print the time of a token after beginnings of several lengths."""
    inputs = CorpusInputs(None, Vocabulary("words", False, ("a",)), PLACES, PLACES)
    objective = SimpleNamespace(loss=None, inputs=(network.output, "y"))
    evaluator = Evaluator(network, [objective], None)  # type: ignore[list-item]
    model: Any = SimpleNamespace(evaluator=evaluator, variables=variables)
    for length in (64, 256, 512, 1000):
        begun = np.random.default_rng(0).integers(4, TOKENS, (1, length)).astype(np.int32)
        times = [seconds_a_token(call, begun) for call in (CachedLogits(model, inputs), continuation(model, inputs))]
        kept, whole = (f"{1000 * seconds:.1f} ms" for seconds in times)
        print(f"a token after {length:4} others: {kept} with keys and values kept, {whole} without")


def seconds_a_token(call: Any, begun: np.ndarray, times: int = 5) -> float:
    """Return the median seconds of a token more."""
    seconds = []
    for _ in range(times + 2):
        start = time.perf_counter()
        logits = call(begun)
        seconds.append(time.perf_counter() - start)
        begun = np.column_stack([begun, logits.argmax(-1).astype(np.int32)])
    return float(np.median(seconds[2:]))


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=768)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), options.layers, options.width)
        network, variables = read(Path(folder))
        generate(network, variables)


if __name__ == "__main__":
    main()
