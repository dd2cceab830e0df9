"""Layers and losses against values of PyTorch in float64: outputs, deltas of inputs, gradients of parameters."""

import functools
import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd.network.layers  # noqa: F401 (it registers them)
from retrograd.base.schema import parse
from retrograd.network.layer import Context, Layer, layers
from retrograd.network.losses import losses
from retrograd.propagation.one_layer import adjoint, run_layer
from tests.oracles import HERE

ALLOWED = 1e-9  # what the issue of a reference asks for; round-off is some 1e-14


class Case(NamedTuple):
    id: str
    layer: Layer
    inputs: tuple[np.ndarray, ...]
    params: dict[str, np.ndarray]
    cot: np.ndarray
    expected: dict[str, np.ndarray]


@functools.cache
def by_kind() -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    with np.load(HERE / "torch.npz", allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    for listed in json.loads((HERE / "torch.json").read_text())["cases"]:
        kind, prefix = listed["kind"], f"{listed['id']}|"
        of_case = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        layer: Any = parse((layers if kind in layers else losses)[kind], listed["settings"])
        inputs = tuple(of_case[f"in.{name}"] for name in listed["inputs"])
        params = {name.removeprefix("param."): a for name, a in of_case.items() if name.startswith("param.")}
        expected = {name: a for name, a in of_case.items() if name.startswith(("grad_", "out"))}
        names = {f"grad_in.{name}": f"grad_in.{i}" for i, name in enumerate(listed["inputs"])}
        expected = {names.get(name, name): a for name, a in expected.items()}
        found.setdefault(kind, []).append(Case(listed["id"], layer, inputs, params, of_case["cot"], expected))
    return found


def both_ways(case, params, inputs, dy):
    step = run_layer(case.layer, params, {}, Context(), inputs)
    back = adjoint(case.layer, params, step.tape, dy)
    deltas = {f"grad_in.{i}": delta for i, delta in enumerate(back.inputs) if delta is not None}
    return {"out": step.y, **deltas, **{f"grad_param.{name}": grad for name, grad in back.grads.items()}}


@pytest.mark.parametrize("kind", by_kind())
def test_outputs_deltas_and_gradients_are_pytorchs(kind):
    cases = by_kind()[kind]
    with jax.enable_x64(True):
        given = [jax.tree.map(jnp.asarray, (case.params, case.inputs, case.cot)) for case in cases]
        # one program for all cases of a kind: it compiles faster than one for each
        found = jax.jit(lambda given: [both_ways(c, *arrays) for c, arrays in zip(cases, given, strict=True)])(given)
    for case, answers in zip(cases, jax.device_get(found), strict=True):
        smooth = set(case.expected) if kind in layers else {name for name in case.expected if name in answers}
        assert smooth <= set(answers), case.id
        for name in smooth:
            np.testing.assert_allclose(
                answers[name], case.expected[name], rtol=ALLOWED, atol=ALLOWED, err_msg=f"{case.id}: {name}"
            )
