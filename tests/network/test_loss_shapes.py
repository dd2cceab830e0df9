"""The losses' annotations are true: shapes and dtypes of what they compare, keep and return, checked by jaxtyping."""

import types
from typing import get_type_hints

import jax
import numpy as np
import pytest

from retrograd.network.layer import Context, Input, Spec
from retrograd.network.losses import MeanSquaredError, losses
from retrograd.propagation.one_layer import adjoint, run_layer

jaxtyping = pytest.importorskip("jaxtyping")
beartype = pytest.importorskip("beartype")
EXAMPLES = [(name, example) for name in losses for example in losses.entry(name).facts["examples"]]
ANNOTATED = {name for name in losses if "terms" in vars(losses[name])}
DTYPES = {"labels": "int32", "mask": "bool"}


def checked(method):
    """Return a method that checks each call against its annotations, which only type checkers import."""
    from retrograd.network.losses import shapes

    copy = types.FunctionType(method.__code__, method.__globals__, method.__name__, method.__defaults__)
    copy.__annotations__ = get_type_hints(method, {**method.__globals__, **vars(shapes)}, include_extras=True)
    return jaxtyping.jaxtyped(copy, typechecker=beartype.beartype)


@pytest.fixture
def strict(monkeypatch):
    """Every loss checks its calls; arrays of different rank or dtype never meet by accident."""
    for name in ANNOTATED:
        for method in ("terms", "slopes"):
            monkeypatch.setattr(losses[name], method, checked(vars(losses[name])[method]))
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


def spec_of(given):
    """Return shape and dtype of one input of an example."""
    if isinstance(given, np.ndarray):
        return Spec(given.shape, "float32" if given.dtype.kind == "f" else given.dtype)
    given = given if isinstance(given, Input) else Input(tuple(given))
    return Spec(given.shape, DTYPES.get(given.kind, "float32"))


def trace(loss, specs):
    """Run forward and backward on shapes alone."""

    def both(*inputs):
        step = run_layer(loss, {}, {}, Context(), inputs)
        return adjoint(loss, {}, step.tape, step.y).inputs

    return jax.eval_shape(both, *specs)


def test_every_loss_that_states_terms_is_annotated():
    assert set(losses) - ANNOTATED == {"info_nce"}  # it compares all pairs in a forward of its own
    plain = [n for n in ANNOTATED for m in ("terms", "slopes") if "Array" in str(vars(losses[n])[m].__annotations__)]
    assert plain == []


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=lambda part: part if isinstance(part, str) else "")
def test_a_loss_keeps_to_its_annotations(strict, name, example):
    specs = list(map(spec_of, example.inputs))
    deltas = trace(losses[name](**example.settings), specs)
    for delta, spec in zip(deltas, specs, strict=True):
        assert delta is None or (delta.shape, delta.dtype) == (spec.shape, spec.dtype)


def test_a_wrong_shape_is_noticed(strict, monkeypatch):
    def summed(self, y, t):
        return (y - t).sum(-1), y - t

    summed.__annotations__ = vars(MeanSquaredError)["terms"].__wrapped__.__annotations__
    monkeypatch.setattr(MeanSquaredError, "terms", checked(summed))
    with pytest.raises(jaxtyping.TypeCheckError):
        trace(MeanSquaredError(), [Spec((4, 3), "float32")] * 2)
