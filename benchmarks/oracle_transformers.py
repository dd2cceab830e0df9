"""Compare imported models with transformers: logits in float32, gradients in float64, over random small configurations.

    python benchmarks/oracle_transformers.py [--configurations 20] [--numbers FOLDER]

Needs the packages torch and transformers beside retrograd; without them it says so and ends. Exit code 1 when a
difference is larger than 1e-5 (logits, float32) or 1e-6 (gradients, float64, relative to the largest of a tensor).
`--numbers` writes the small models that the tests hold: safetensors, and logits and gradients as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

import retrograd as rg
from retrograd.base.document import parse_document
from retrograd.interop.hub.importing import import_folder
from retrograd.network.precision import computing_in
from retrograd.record.hub.family import joined
from retrograd.training.config.config import config_of
from retrograd.training.config.weights import WeightsSettings
from retrograd.training.pretrained import pretrained

FAMILIES = ("gpt2", "bert", "llama")
MOST_LOGITS, MOST_GRADIENTS = 1e-5, 1e-6


def random_model(family: str, rng: random.Random, tiny: bool = False) -> Any:
    """Return a model of transformers with a random small configuration and random weights."""
    import transformers as hf

    heads = 2 if tiny else rng.choice([1, 2, 4])
    width = 4 if tiny else rng.choice([4, 8])
    units, layers, vocabulary, places = heads * width, 1 if tiny else rng.choice([1, 2, 3]), 11 if tiny else 29, 16
    common = {"vocab_size": vocabulary, "initializer_range": 0.3}
    if family == "gpt2":
        made: Any = hf.GPT2LMHeadModel(
            hf.GPT2Config(
                n_embd=units,
                n_head=heads,
                n_layer=layers,
                n_positions=places,
                n_inner=rng.choice([None, 2 * units]),
                activation_function=rng.choice(["gelu_new", "gelu", "relu"]),
                tie_word_embeddings=tiny or rng.random() < 0.7,
                bos_token_id=0,
                eos_token_id=0,
                **common,
            )
        )
    elif family == "bert":
        kind = hf.BertForSequenceClassification if tiny or rng.random() < 0.5 else hf.BertForMaskedLM
        made = kind(
            hf.BertConfig(
                hidden_size=units,
                num_attention_heads=heads,
                num_hidden_layers=layers,
                intermediate_size=rng.choice([2, 3]) * units,
                max_position_embeddings=places,
                num_labels=3,
                hidden_act=rng.choice(["gelu", "relu", "gelu_new"]),
                layer_norm_eps=rng.choice([1e-12, 1e-5]),
                **common,
            )
        )
    else:
        kind = "llama" if tiny else rng.choice(["llama", "llama", "mistral", "qwen2", "qwen3"])
        scaling = rng.choice([None, "linear", "llama3"]) if not tiny else "llama3"
        rope: dict[str, Any] = {"rope_theta": rng.choice([100.0, 10000.0]), "rope_type": scaling or "default"}
        if scaling:
            rope |= {"factor": rng.choice([2.0, 4.0])}
        if scaling == "llama3":
            rope |= {"low_freq_factor": 1.0, "high_freq_factor": 3.0, "original_max_position_embeddings": 20}
        settings: dict[str, Any] = {
            "hidden_size": units,
            "num_attention_heads": heads,
            "num_key_value_heads": rng.choice([n for n in (1, 2, 4) if heads % n == 0]) if not tiny else 1,
            "num_hidden_layers": layers,
            "intermediate_size": rng.choice([2, 3]) * units,
            "max_position_embeddings": places,
            "rms_norm_eps": rng.choice([1e-6, 1e-5]),
            "tie_word_embeddings": not tiny and rng.random() < 0.4,
            "rope_parameters": rope,
            **common,
        }
        if kind == "llama":
            settings |= {"attention_bias": rng.random() < 0.3, "head_dim": rng.choice([width, width + 4])}
        elif kind == "qwen3":
            settings |= {"head_dim": rng.choice([width, width + 4]), "rms_norm_eps": 1e-6}
        elif kind == "mistral":
            settings |= {"sliding_window": rng.choice([None, 3]), "head_dim": width}
        made = {
            "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**settings)),
            "mistral": lambda: hf.MistralForCausalLM(hf.MistralConfig(**settings)),
            "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**settings)),
            "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**settings)),
        }[kind]()
    return shaken(made)


def shaken(model: Any) -> Any:
    """Return the model with random biases and scales, too, and its eager attention."""
    import torch

    for parameter in model.parameters():
        with torch.no_grad():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.config._attn_implementation = "eager"
    return model.eval()


def in_own_precision(model: Any) -> None:
    """Let norms, rotary positions and softmax compute in float64, which transformers rounds to float32."""
    import torch

    softmax = torch.softmax
    torch.nn.functional.softmax = lambda x, dim, **_: softmax(x, dim)

    def norm(module: Any, x: Any) -> Any:
        return module.weight * x / (x.pow(2).mean(-1, keepdim=True) + module.variance_epsilon).sqrt()

    def turned(module: Any, x: Any, position_ids: Any) -> Any:
        rope, width = module.config.rope_parameters, 2 * module.inv_freq.numel()
        speed = rope["rope_theta"] ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        speed = speed / rope["factor"] if rope["rope_type"] == "linear" else speed
        if rope["rope_type"] == "llama3":
            low, high, length = (rope[name] for name in ("low_freq_factor", "high_freq_factor",
                                                              "original_max_position_embeddings"))  # fmt: skip
            wave = 2 * torch.pi / speed
            share = (length / wave - low) / (high - low)
            between = (1 - share) * speed / rope["factor"] + share * speed
            fast = torch.where(wave < length / high, speed, between)
            speed = torch.where(wave > length / low, speed / rope["factor"], fast)
        angle = position_ids[..., None] * speed
        angle = torch.cat([angle, angle], -1)
        return angle.cos(), angle.sin()

    for module in model.modules():
        for name, forward in (("RMSNorm", norm), ("RotaryEmbedding", turned)):
            if type(module).__name__.endswith(name):
                module.forward = forward.__get__(module)


def theirs(model: Any, columns: dict[str, np.ndarray], seed: np.ndarray, dtype: str) -> Any:
    """Return logits, and the gradients of Σ seed · logits by the names of the parameters."""
    import torch

    model = model.double() if dtype == "float64" else model.float()
    if dtype == "float64":
        in_own_precision(model)
    given = {"input_ids": torch.tensor(columns["x"]).long()}
    if model.config.model_type == "bert":
        given |= {
            "attention_mask": torch.tensor(columns["mask"]).long(),
            "token_type_ids": torch.tensor(columns["segments"]).long(),
        }
    model.zero_grad()
    logits = model(**given).logits
    (logits * torch.tensor(seed, dtype=logits.dtype)).sum().backward()
    grads = {name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None}
    return logits.detach().numpy(), grads


def ours(folder: Path, columns: dict[str, np.ndarray], seed: np.ndarray, precision: Any) -> Any:
    """Return logits, and the gradients by the names of the tensors."""
    masked = any("MaskedLM" in name for name in json.loads((folder / "config.json").read_text())["architectures"])
    config = config_of(parse_document(import_folder(folder, head="vocabulary" if masked else None).text))
    network = rg.Network(*config.network)
    specs = {name: jax.ShapeDtypeStruct(column.shape, column.dtype) for name, column in columns.items()}
    with computing_in(precision):
        expected = jax.eval_shape(lambda key: network.init(key, specs), jax.random.key(0))
        expected = jax.tree.map(lambda spec: jax.ShapeDtypeStruct(spec.shape, precision), expected)
        weights = pretrained(WeightsSettings(str(folder)), expected)
        params = weights.variables(network, jax.random.key(0), specs).params
        batch = {name: jax.numpy.asarray(column) for name, column in columns.items()}

        @jax.jit
        def scored(params: Any, seed: Any) -> Any:
            record = rg.forward(network, params, {}, rg.Context(), batch)
            if precision == "float32":
                return record.outputs[network.output], {}
            _, grads = rg.backward(network, params, record.tapes, {network.output: seed})
            return record.outputs[network.output], grads

        logits, grads = jax.device_get(scored(params, jax.numpy.asarray(seed, precision)))
        by_name = {taken.key: joined(taken, grads) for taken in weights.plan.taken} if grads else {}
    return np.asarray(logits), by_name


def compare(family: str, model: Any, folder: Path, rng: np.random.Generator) -> tuple[float, float]:
    """Return the largest difference of logits (float32), and of gradients (float64) relative to a tensor's largest."""
    columns = columns_for(model, rng)
    model.save_pretrained(folder)
    worst: dict[str, float] = {}
    for dtype in ("float32", "float64"):
        shape = theirs(model, columns, np.ones(1), dtype)[0].shape
        seed = np.random.default_rng(1).standard_normal(shape)
        logits, grads = theirs(model, columns, seed, dtype)
        own_logits, own_grads = ours(folder, columns, seed, dtype)
        worst[f"logits {dtype}"] = float(np.abs(own_logits - logits).max())
        names = {name for name in own_grads if name in grads}
        worst[f"gradients {dtype}"] = max(
            (float(np.abs(own_grads[name] - grads[name]).max() / max(np.abs(grads[name]).max(), 1e-3))
             for name in names), default=np.inf
        )  # fmt: skip
    return worst["logits float32"], worst["gradients float64"]


def columns_for(model: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return two rows of identifiers, of BERT with a mask and segments."""
    x = rng.integers(0, model.config.vocab_size, (2, 9)).astype(np.int32)
    if model.config.model_type != "bert":
        return {"x": x}
    mask = np.arange(9) < np.array([[9], [6]])
    return {"x": x, "mask": mask, "segments": (np.arange(9) > rng.integers(2, 8)).astype(np.int32) * np.ones_like(x)}


def write_numbers(folder: Path) -> None:
    """Write a tiny model of each family, with its logits and a few figures of its gradients."""
    rng = random.Random(3)
    for family in FAMILIES:
        model = random_model(family, rng, tiny=True)
        place = folder / family
        model.float().save_pretrained(place)
        columns = columns_for(model, np.random.default_rng(0))
        shape = theirs(model, columns, np.ones(1), "float64")[0].shape
        seed = np.cos(np.arange(np.prod(shape))).reshape(shape)
        logits, grads = theirs(model, columns, seed, "float64")
        told = {
            "columns": {name: column.tolist() for name, column in columns.items()},
            "logits": np.round(logits, 9).tolist(),
            "gradients": {name: [float(np.abs(g).sum()), float((g * np.cos(np.arange(g.size)).reshape(g.shape)).sum())]
                          for name, g in grads.items()},
        }  # fmt: skip
        (place / "numbers.json").write_text(json.dumps(told))
        for extra in place.glob("generation_config.json"):
            extra.unlink()


def main() -> int:
    """Run the comparison and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configurations", type=int, default=20)
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--numbers", type=Path)
    options = parser.parse_args()
    try:
        import torch
        import transformers
    except ImportError as error:
        print(f"skipped: {error}; pip install torch transformers")
        return 0
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    jax.config.update("jax_disable_most_optimizations", True)  # each program runs once
    torch.manual_seed(0)
    if options.numbers:
        write_numbers(options.numbers)
        return 0
    failed = False
    for family in options.families:
        rng, logits, gradients = random.Random(family), 0.0, 0.0
        for i in range(options.configurations):
            with tempfile.TemporaryDirectory() as folder:
                model = random_model(family, rng)
                found = compare(family, model, Path(folder), np.random.default_rng(i))
            if found[0] > MOST_LOGITS or found[1] > MOST_GRADIENTS:
                print(f"  {family} {i}: {found} {model.config.to_diff_dict()}")
            logits, gradients = max(logits, found[0]), max(gradients, found[1])
        failed |= logits > MOST_LOGITS or gradients > MOST_GRADIENTS
        print(f"{family:6} {options.configurations} configurations: logits within {logits:.1e} (float32), "
              f"gradients within {gradients:.1e} (float64)")  # fmt: skip
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
