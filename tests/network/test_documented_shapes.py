"""What a layer's docstring says under `Shapes:` is what its examples show: axes of one name are of one length."""

import re

import jax
import pytest

import retrograd.network.layers  # noqa: F401  # registers them
from retrograd.network.layer import Context, Spec, layers

DTYPES = {"labels": "int32", "mask": "bool"}
FORM = re.compile(
    r"Shapes: +(?:each |both )?\w+ (\[[^\]]*\]) -> y(?:, the same(?= [A-Z]|;|$)| (\[[\w, .*']*\])(?= [A-Z]|;|$))"
)


def stated(name):
    """Return the axes of the first input and of the output in a layer's docstring, if it gives them in the plain form."""
    words = next(" ".join(cls.__doc__.split()) for cls in layers[name].__mro__ if "Shapes:" in (cls.__doc__ or ""))
    match = FORM.search(words)
    return match and [axes[1:-1].split(", ") for axes in (match[1], match[2] or match[1])]


STATED = {name: form for name in layers if layers[name].__module__.startswith("retrograd.") and (form := stated(name))}
AS_ALWAYS = [  # docstrings give shapes without `broadcast`, and along the last axis
    (name, example)
    for name in STATED
    for example in layers.entry(name).facts["examples"]
    if "broadcast" not in example.settings and not (name in ("concat", "glu") and "axis" in example.settings)
]


def lengths(axes, shape):
    """Return the length of each named axis, and of those that `...` or `*positions` mean."""
    (many, *_) = [i for i, axis in enumerate(axes) if axis == "..." or axis.startswith("*")] or [len(axes)]
    after = len(axes) - many - 1
    if many == len(axes):
        assert len(shape) == len(axes)
        return dict(zip(axes, shape, strict=True))
    assert len(shape) >= len(axes) - 1
    ends = [*zip(axes[:many], shape, strict=False), *zip(axes[many + 1 :], shape[len(shape) - after :], strict=True)]
    return dict(ends) | {axes[many]: shape[many : len(shape) - after]}


def test_most_layers_state_their_shapes_in_the_plain_form():
    assert len(STATED) > 50


@pytest.mark.parametrize(("name", "example"), AS_ALWAYS, ids=lambda part: part if isinstance(part, str) else "")
def test_the_documented_shapes_are_those_of_the_examples(name, example):
    layer, key = layers[name](**example.settings), jax.random.key(0)
    specs = [Spec(each.shape, DTYPES.get(each.kind, "float32")) for each in example.inputs]

    def both(*inputs):
        first = layer.init(key, *specs)
        return layer.forward(first.params, first.state, Context(train=True, key=key), *inputs).y

    y = jax.eval_shape(both, *(jax.ShapeDtypeStruct(spec.shape, spec.dtype) for spec in specs))
    before, after = (lengths(axes, shape) for axes, shape in zip(STATED[name], (specs[0].shape, y.shape), strict=True))
    assert {axis: before[axis] for axis in after if axis in before} == {
        axis: after[axis] for axis in after if axis in before
    }
    for axis in {"units", "filters"} & set(after):
        assert after[axis] == getattr(layer, axis)
