"""What a trace writes out is true: every sum that it prints, computed again from its own text, gives the value beside it."""

import math
import re

import numpy as np
import pytest

import retrograd as rg
from retrograd.data.dataset import from_arrays
from retrograd.present.exact import Figures
from retrograd.tracing.document import Sums, Writer
from retrograd.tracing.forms.page import page_data

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
NUMBERS = {"x": X[:2].astype(np.float64), "y": RNG.normal(size=(2, 2))}
CLASSES = {"x": X[:3].astype(np.float64), "y": np.array([2, 0, 1], np.int32)}
BINARY = {"x": X[:2].astype(np.float64), "y": np.array([[1.0], [0.0]])}


def config(network, loss, optimizer, **more):
    return rg.RunConfig(
        network=tuple(rg.Entry(layer) if not isinstance(layer, rg.Entry) else layer for layer in network),
        loss=loss,
        optimizer=optimizer,
        training=rg.TrainingSettings(epochs=3, batch_size=4),
        **more,
    )


SHARED = [
    rg.named(rg.Dense(3, "sigmoid"), "a"),
    rg.named(rg.Dense(3), "b", share={"weight": "a/weight"}),
    rg.Tanh(),
    rg.Dense(2),
]
BRANCHED = [
    rg.named(rg.Dense(2, "gelu"), "a"),
    rg.Branches([[rg.Entry(rg.Dense(2))], [rg.Entry(rg.Softmax())], []], merge="multiply"),
    rg.Residual([rg.Dense(2), rg.LogSoftmax()]),
    rg.Dropout(0.4),
]
ALONG = [rg.Dense(4), rg.Reshape((2, 2)), rg.Softmax(1), rg.LogSoftmax((1, 2)), rg.Flatten(), rg.Dense(2)]
GROUPS = {"*/bias": {"rate": 0.5, "weight_decay": 0.2}}
ZOO = {
    "shared, momentum": (SHARED, rg.MeanSquaredError(), rg.SGD(0.1, momentum=0.9, nesterov=True), NUMBERS),
    "branched, adam": (BRANCHED, rg.MeanAbsoluteError(), rg.Adam(0.1, weight_decay=0.1, clip_global_norm=0.1), NUMBERS),
    "classes, adamw": ([rg.Dense(4, "relu"), rg.Dense(3)], rg.CrossEntropy(), rg.AdamW(0.1, groups=GROUPS), CLASSES),
    "probabilities, rmsprop": (
        [rg.Dense(2, "silu"), rg.Dense(1, "sigmoid")],
        rg.BinaryCrossEntropy(from_logits=False),
        rg.RMSprop(0.1, momentum=0.5),
        BINARY,
    ),
    "logits, lion": (
        [rg.Dense(1, "identity")],
        rg.BinaryCrossEntropy(scale=2.0),
        rg.Lion(0.1, weight_decay=0.1),
        BINARY,
    ),
    "softmax along other axes": (ALONG, rg.MeanSquaredError(), rg.SGD(0.1), NUMBERS),
    "huber, adagrad": ([rg.Dense(2, "softplus")], rg.Huber(), rg.Adagrad(0.1, accumulate=2, groups=GROUPS), NUMBERS),
}
PENALTIES = {"shared, momentum": (rg.L2(0.1), rg.L1(0.01, parameters="*/bias"))}


@pytest.fixture(scope="module", params=ZOO)
def traced(request):
    network, loss, optimizer, batch = ZOO[request.param]
    target = batch["y"] if batch["y"].dtype == np.int32 else np.resize(batch["y"], (40, batch["y"].shape[1]))
    y = np.resize(target, 40) if target.ndim == 1 else target.astype(np.float32)
    task = "multiclass" if target.ndim == 1 else "regression"
    settings = rg.DataSettings(task=task, scale="none", scale_target="none", split=rg.SplitSettings("none"))
    dataset = from_arrays(X, y, settings=settings)
    made = config(network, loss, optimizer, penalties=PENALTIES.get(request.param, ()))
    return rg.trace(made, batch=batch, step=2, dataset=dataset)


def compute(text):
    """The value of a sum as it is printed."""
    text = text.split("  ")[0].split(" -> ")[0]
    text = text.replace("²", "**2").replace("^", "**")
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text)
    names = {"exp": math.exp, "log": math.log, "sqrt": math.sqrt, "tanh": math.tanh, "max": max, "abs": abs,
             "sign": np.sign, "silu": lambda x: x / (1 + math.exp(-x)), "softplus": lambda x: math.log1p(math.exp(x)),
             "gelu": lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2)))}  # fmt: skip
    return eval(text, {"__builtins__": {}}, names)


def test_every_sum_that_is_written_out_gives_its_value(traced):
    writer = Writer(traced.numbers, Figures(17))
    lines = [line for section in writer.sections() for block in section.blocks if isinstance(block, Sums)
             for line in block.lines]  # fmt: skip
    assert len(lines) > 20
    for line in lines:
        assert compute(line.text) == pytest.approx(line.value, rel=1e-9, abs=1e-13), line


def test_the_factors_along_all_ways_to_the_loss_multiply_to_the_gradient(traced):
    data = page_data(traced.numbers, Writer(traced.numbers, Figures(17)), [], Figures(17))
    complete = 0
    for weight in data["weights"].values():
        chains = [chain for chain in weight["chains"] if chain in data["lines"]]
        sums = [total(data["lines"], chain) for chain in chains]
        if sums and None not in sums:
            complete += 1
            assert sum(sums) == pytest.approx(float(weight["gradient"]), rel=1e-9, abs=1e-14)
    assert complete >= 2


def total(lines, key):
    """The sum over all ways from a number to the loss of the product of the factors on the way."""
    if key not in lines:
        return None
    line = lines[key]
    if not line["terms"]:
        return float(line["value"])
    found = 0.0
    for term in line["terms"]:
        product = math.prod(float(value.strip("()")) for _, value in term["factors"])
        rest = total(lines, term["reads"]) if term["reads"] else 1.0
        if rest is None:
            return None
        found += product * rest
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.52497918, "0.5250"), (-1.2, "-1.2"), (0.1 + 0.2, "0.3"), (1.0, "1"), (0.0, "0"), (2.5e-7, "2.5e-07"),
     (1.234567e9, "1.23e+09"), (float("nan"), "nan"), (3, "3"), (0.00004, "4e-05")],
)  # fmt: skip
def test_numbers_are_short_where_they_are_exact_and_rounded_where_not(value, text):
    assert Figures(4).number(value) == text


def test_signs_are_where_a_person_writes_them():
    assert Figures(4).sum([(0.525, -1.2), (-0.5, 2), (-0.3,)]) == "0.525*(-1.2) + (-0.5)*2 - 0.3"
