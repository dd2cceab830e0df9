"""Worked examples by hand and from print, with the digits given there."""

import re

import numpy as np
import pytest

import retrograd as rg

XOR = {
    "name": "xor_by_hand",
    "data": "xor",
    "network": [
        {
            "dense": {"units": 2, "activation": "sigmoid", "weight": [[0.5, 0.9], [0.4, 1.0]], "bias": [-0.8, 0.1]},
            "name": "hidden",
        },
        {"dense": {"units": 1, "activation": "sigmoid", "weight": [[-1.2], [1.1]], "bias": [-0.3]}, "name": "out"},
    ],
    "loss": {"mean_squared_error": {"scale": 0.5}},
    "optimizer": {"sgd": 0.1},
    "training": {"epochs": 10, "batch_size": 1},
}


def two_layers(w1, b1, w2, b2, loss, optimizer, activation=None):
    def dense(name, weight, bias):
        return {
            "dense": {"units": len(weight[0]), "weight": weight, "bias": bias, "activation": activation},
            "name": name,
        }

    return {
        "network": [dense("hidden", w1, b1), dense("out", w2, b2)],
        "loss": loss,
        "optimizer": optimizer,
        "training": {"epochs": 5, "batch_size": 1},
    }


def all_ones(loss):
    return two_layers([[1, 1, 1], [1, 1, 1]], [1, 1, 1], [[1], [1], [1]], [1], loss, {"sgd": 0.1})


def found(trace):
    """Outputs, deltas, and for each parameter gradient and new value, by name."""
    nodes = {node.path: node for node in trace.numbers.nodes}
    params = {parameter.path: parameter for parameter in trace.numbers.parameters}
    return nodes, params


@pytest.fixture(scope="module")
def xor():
    return rg.trace(XOR, sample=3)


def test_the_xor_example_has_the_numbers_of_the_book(xor):
    nodes, params = found(xor)
    expected = {
        "hidden": [0.1, 2.0],
        "hidden/sigmoid": [0.5250, 0.8808],
        "out": [0.0389],
        "out/sigmoid": [0.5097],
    }
    for path, values in expected.items():
        assert nodes[path].output[0].round(4).tolist() == values, path
    assert round(xor.numbers.loss, 4) == 0.1299
    assert nodes["out"].delta[0].round(4).tolist() == [0.1274]
    assert nodes["hidden"].delta[0].round(4).tolist() == [-0.0381, 0.0147]
    assert params["out/weight"].gradient[:, 0].round(4).tolist() == [0.0669, 0.1122]
    assert params["out/weight"].after[:, 0].round(4).tolist() == [-1.2067, 1.0888]
    assert params["hidden/weight"].after.round(4).tolist() == [[0.5038, 0.8985], [0.4038, 0.9985]]
    assert params["hidden/bias"].after.round(4).tolist() == [-0.7962, 0.0985]


def test_the_text_shows_the_sums_with_numbers_put_in_and_fits_80_columns(xor):
    text = xor.text()
    for line in (
        "hidden[0] = 1*0.5 + 1*0.4 - 0.8 = 0.1",
        "out[0] = 0.5250*(-1.2) + 0.8808*1.1 - 0.3 = 0.0389",
        "L = 0.5*(0.5097 - 0)² = 0.1299",
        "δ hidden/sigmoid[0] = 0.1274*(-1.2) = -0.1529",
        "dL/d weight[1,0] = 0.8808*0.1274 = 0.1122",
        "weight[0,0] = -1.2 - 0.1*0.0669 = -1.2067",
    ):
        assert line in text
    assert max(map(len, text.splitlines())) <= 80


ONES = {
    "squared error": ("mean_squared_error", 6, 0.4),
    "half of it": ({"mean_squared_error": {"scale": 0.5}}, 3, 0.7),
    "cross-entropy of a logit": ("binary_cross_entropy", -0.0180, 1.0018),
    "cross-entropy of a clipped probability": ({"binary_cross_entropy": {"from_logits": False}}, 0, 1),
}


@pytest.mark.parametrize("case", ONES)
def test_the_network_of_ones_has_these_deltas_and_new_weights(case):
    loss, delta, new = ONES[case]
    trace = rg.trace(all_ones(loss), batch={"x": [[0.0, 0.0]], "y": [[1.0]]})
    nodes, params = found(trace)
    assert nodes["hidden"].output.tolist() == [[1, 1, 1]]
    assert nodes["out"].output.tolist() == [[4]]
    assert nodes["out"].delta.round(4).tolist() == [[delta]]
    assert nodes["hidden"].delta.round(4).tolist() == [[delta] * 3]
    assert params["hidden/weight"].after.tolist() == [[1, 1, 1], [1, 1, 1]]  # its links carry 0
    for path in ("hidden/bias", "out/weight", "out/bias"):
        assert np.ravel(params[path].after).round(4).tolist() == [new] * params[path].after.size
    told = " ".join(trace.remarks)
    assert "units 0, 1, 2 have the same weights and receive identical deltas" in told
    assert "stay identical for ever" in told
    assert "cannot represent XOR" in told
    assert ("is clipped to 0.9999999" in told) == (case == "cross-entropy of a clipped probability")


def test_a_given_delta_that_is_target_minus_output_ascends_and_the_trace_says_so():
    trace = rg.trace(all_ones("mean_squared_error"), batch={"x": [[0.0, 0.0]], "y": [[0.0]]}, delta=-4)
    nodes, params = found(trace)
    assert nodes["hidden"].delta.tolist() == [[-4, -4, -4]]
    assert params["hidden/weight"].after.tolist() == [[1, 1, 1], [1, 1, 1]]
    for path in ("hidden/bias", "out/weight", "out/bias"):
        assert np.ravel(params[path].after).round(12).tolist() == [1.4] * params[path].after.size
    assert trace.remarks[0].startswith("This step ascends: -4 is target minus output (0 - 4)")
    assert "its negative" in trace.remarks[0]
    assert "moves from 4 to 7.28" in trace.remarks[0]


def test_random_weights_and_a_nonlinearity_draw_no_such_remarks(xor):
    assert not re.search("identical|nonlinearity|ascends|clipped", " ".join(xor.remarks))


def test_mazurs_step_by_step_example_to_the_printed_digits():
    """Matt Mazur, "A Step by Step Backpropagation Example", 2015; the biases, which it leaves alone, are not compared."""
    config = two_layers(
        [[0.15, 0.25], [0.20, 0.30]], [0.35, 0.35], [[0.40, 0.50], [0.45, 0.55]], [0.60, 0.60],
        {"mean_squared_error": {"scale": 0.5, "reduction": "sum"}}, {"sgd": 0.5}, "sigmoid",
    )  # fmt: skip
    trace = rg.trace(config, batch={"x": [[0.05, 0.10]], "y": [[0.01, 0.99]]})
    nodes, params = found(trace)
    assert nodes["hidden"].output[0, 0].round(4) == 0.3775
    assert nodes["hidden/sigmoid"].output.round(9).tolist() == [[0.593269992, 0.596884378]]
    assert nodes["out"].output[0, 0].round(9) == 1.105905967
    assert nodes["out/sigmoid"].output[0, 0].round(8) == 0.75136507
    assert nodes["out/sigmoid"].output[0, 1].round(9) == 0.772928465
    assert round(trace.numbers.loss, 9) == 0.298371109
    assert params["out/weight"].gradient[0, 0].round(9) == 0.082167041
    printed = {
        "out/weight": ["0.35891648", "0.408666186", "0.511301270", "0.561370121"],  # w5 to w8
        "hidden/weight": ["0.149780716", "0.19956143", "0.24975114", "0.29950229"],  # w1 to w4
    }
    for path, digits in printed.items():
        for value, text in zip(params[path].after.T.ravel(), digits, strict=True):
            assert f"{value:.{len(text) - 2}f}" == text


def test_the_example_of_han_kamber_and_pei_to_the_printed_digits():
    """Han, Kamber & Pei, "Data Mining", 3rd ed. 2012, example 9.1; their error is minus our delta."""
    config = two_layers(
        [[0.2, -0.3], [0.4, 0.1], [-0.5, 0.2]], [-0.4, 0.2], [[-0.3], [-0.2]], [0.1],
        {"mean_squared_error": {"scale": 0.5}}, {"sgd": 0.9}, "sigmoid",
    )  # fmt: skip
    nodes, params = found(rg.trace(config, batch={"x": [[1.0, 0.0, 1.0]], "y": [[1.0]]}))
    assert nodes["hidden"].output.round(3).tolist() == [[-0.7, 0.1]]
    assert nodes["hidden/sigmoid"].output.round(3).tolist() == [[0.332, 0.525]]
    assert nodes["out"].output.round(3).tolist() == [[-0.105]]
    assert nodes["out/sigmoid"].output.round(3).tolist() == [[0.474]]
    a = nodes["out/sigmoid"].output.item()
    assert round(round(a, 3) * (1 - round(a, 3)) ** 2, 4) == 0.1311  # the book continues with rounded numbers
    assert -nodes["out"].delta.item() == pytest.approx(0.1311, abs=1e-4)  # all digits give 0.1312
    assert (-nodes["hidden"].delta).round(4).tolist() == [[-0.0087, -0.0065]]
    assert params["out/weight"].after.round(3).tolist() == [[-0.261], [-0.138]]
    assert params["hidden/weight"].after.round(3).tolist() == [[0.192, -0.306], [0.4, 0.1], [-0.508, 0.194]]
    assert params["hidden/bias"].after.round(3).tolist() == [-0.408, 0.194]
    assert params["out/bias"].after.round(3).tolist() == [0.218]


def test_adams_first_steps_on_a_parabola_to_the_printed_digits():
    """MATH 3850, "Adam: a machine learning deep dive", page 12: f = θ² from θ = 5, rate 0.1; Kingma & Ba, algorithm 1."""
    config = {
        "network": [{"dense": {"units": 1, "bias": False, "weight": [[5]]}, "name": "f"}],
        "loss": "mean_squared_error",
        "optimizer": {"adam": 0.1},
        "training": {"epochs": 5, "batch_size": 1},
    }
    row = {"x": [[1.0]], "y": [[0.0]]}
    begin = rg.trace(config, batch=row)
    (first,), (second,) = begin.numbers.parameters, rg.trace(config, batch=row, step=2).numbers.parameters
    assert float(first.gradient.item()) == 10
    assert [first.moments[key][1].item() for key in "mv"] == pytest.approx([1, 0.1], rel=1e-12)
    assert first.after.item() == pytest.approx(4.9, abs=1e-9)
    assert second.gradient.item() == pytest.approx(9.8, rel=1e-6)  # from here on with the run's float32 weights
    assert [second.moments[key][1].item() for key in "mv"] == pytest.approx([1.88, 0.19594], rel=1e-6)
    m_hat, v_hat = 1.88 / (1 - 0.9**2), 0.19594 / (1 - 0.999**2)
    assert second.after.item() == pytest.approx(4.9 - 0.1 * m_hat / (v_hat**0.5 + 1e-8), rel=1e-6)
    text = begin.text()
    for line in ("m = 0.9*0 + 0.1*10 = 1", "m^ = 1/(1 - 0.9^1) = 10", "v^ = 0.1/(1 - 0.999^1) = 100", "= 4.9"):
        assert line in text
