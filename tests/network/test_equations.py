"""Equations follow the settings: what is printed is what was computed."""

import inspect
import re

import pytest

import retrograd as rg
from retrograd.base.schema import parse
from retrograd.network.layer import layers
from retrograd.network.losses.loss import losses

MADE = [
    (name, parse(registry[name], example.settings))
    for registry in (layers, losses)
    for name in registry
    for example in registry.entry(name).facts["examples"]
]


def texts(equations):
    return " | ".join([equations.forward, *equations.backward, equations.latex_forward, *equations.latex_backward])


@pytest.mark.parametrize(("name", "made"), MADE, ids=[name for name, _ in MADE])
def test_formulas_hold_no_bias_no_scale_and_no_mean_that_is_not_there(name, made):
    found = texts(made.formulas())
    if not getattr(made, "bias", True):
        assert not re.search(r"\bb(_\w+)?\b(?! ?\()|\bbias\b|\\beta\b(?!_)", found.replace("dscale", "")), found
    if name in losses:
        assert ("/n" in found) == (made.reduction == "mean")
        assert (made.scale == 1) or f"scale = {made.scale:g}" in found
        assert not re.search(r"\b(squared|symmetric|approximate|for probabilities)\b", found)


def test_with_the_usual_settings_formulas_are_the_short_ones():
    assert rg.CrossEntropy().formulas().backward == ("dL/dy_c = 1/n (p_c - q_c)",)
    assert rg.BinaryCrossEntropy().formulas().backward == ("dL/dy = 1/n (p - t)",)
    assert rg.Dense(2).formulas() == rg.Dense.equations


@pytest.mark.parametrize(
    ("made", "forward", "backward"),
    [
        (rg.BinaryCrossEntropy(from_logits=False), "p = y", "1/n ((1 - t) / (1 - p) - t / p)"),
        (rg.BinaryCrossEntropy(positive_weight=3.0), "w t log p", "1/n ((1 - t) p - w t (1 - p))"),
        (rg.BinaryCrossEntropy(label_smoothing=0.2), "t = 0.8 target + 0.1", "1/n (p - t)"),
        (rg.CrossEntropy(from_logits=False), "p = y / Σ y", "g_c = -q_c / p_c"),
        (rg.CrossEntropy(from_logits=False, normalize=False), "p = y, q", "-1/n q_c / p_c"),
        (rg.CrossEntropy(label_smoothing=0.1), "q = 0.9 onehot(t) + 0.1/C", "1/n (p_c - q_c)"),
        (rg.CrossEntropy(class_weights=(1.0, 2.0)), "n = Σ_rows w_t", "p_c Σ_k w_k q_k - w_c q_c"),
        (rg.MeanSquaredError(reduction="sum"), "L = Σ (y - t)²", "dL/dy = 2 (y - t)"),
        (rg.MeanSquaredError(scale=0.5), "scale = 0.5", "2/n (y - t)"),
        (rg.GELU(approximate=True), "tanh(√(2/π)", "t' = √(2/π) (1 + 0.134145 x²) (1 - t²)"),
        (rg.RNN(3, nonlinearity="relu"), "relu(x(t) W", "f' = 1 where h > 0, else 0"),
        (rg.GRU(3, reset="before"), "(r h(t-1)) W_hn", "dq = da_n W_hnᵀ"),
    ],
)
def test_other_settings_have_their_own(made, forward, backward):
    assert forward in made.formulas().forward
    assert backward in "; ".join(made.formulas().backward)


def test_a_loss_of_the_user_s_own_needs_no_equations():
    class Own(rg.Loss):
        pass

    assert Own().formulas().forward == ""


# layers whose docstring says of one place or step what the equations say of whole arrays
TOLD_BY_PLACES = {
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "categorical_focal", "conv1d", "conv1d_transpose",
    "conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose", "crop", "cross_entropy", "dice", "flatten", "focal",
    "global_average_pool", "global_max_pool", "gru", "info_nce", "lstm", "max_pool", "multi_head_attention", "nll",
    "pad", "permute", "pixel_shuffle", "pixel_unshuffle", "reshape", "rnn", "spatial_dropout", "stochastic_depth",
    "take", "tversky", "unfold", "upsample",
}  # fmt: skip
OTHERS = [registry[name] for registry in (layers, losses) for name in registry if name not in TOLD_BY_PLACES]
LETTERS = {"sqrt": "√", "sum": "Σ", "^2": "²", "alpha": "α", "delta": "δ", "−": "-", "x1": "x₁", "x2": "x₂"}


def letters(formula):
    """A formula without blanks, brackets and signs of multiplication, in the letters that equations use."""
    for word, letter in LETTERS.items():
        formula = formula.replace(word, letter)
    return re.sub(r"[\s()·*]", "", formula)


@pytest.mark.parametrize("cls", OTHERS, ids=lambda cls: cls.__name__)
def test_the_formula_of_a_docstring_is_that_of_the_equations(cls):
    formula = next(part for part in inspect.getdoc(cls).split("\n\n") if part.startswith("    "))
    first = re.split("[,;]", cls.equations.forward.replace(" (y = x when not training)", ""))[0]
    assert letters(formula).startswith(letters(first))


def test_a_backward_without_words_of_its_own_is_described_by_the_equations():
    assert rg.Dense.backward.__doc__ == "dx = dy Wᵀ; dW = xᵀ dy; db = sum of dy over the rows."
