"""Layers of boxes against plain loops over NumPy numbers, and a small two-stage detector from end to end."""

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ConfigError, DataTypeError, ShapeError
from retrograd.data.images.boxes import Boxes
from retrograd.network.in_use import in_use
from retrograd.network.layer import Context

EXACT = 1e-12  # float64, a few operations


def output(layer, *inputs, train=False):
    """Return what a layer gives in float64."""
    with jax.enable_x64(True):
        return jax.device_get(jax.jit(lambda *xs: layer.forward({}, {}, Context(train), *xs).y)(*inputs))


def random_boxes(rng, *shape):
    """Return boxes inside the image."""
    low = rng.uniform(0, 0.6, (*shape, 2))
    return np.concatenate([low, low + rng.uniform(0.1, 0.4, (*shape, 2))], -1)


def overlap(a, b):
    """Return intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def suppressed(scores, boxes, most):
    """Return the places of the boxes that non-maximum suppression leaves, likeliest first, and then the others."""
    order, chosen = sorted(range(len(scores)), key=lambda i: -scores[i]), []
    for i in order:
        if all(overlap(boxes[i], boxes[j]) <= most for j in chosen):
            chosen.append(i)
    return chosen, [i for i in order if i not in chosen]


def test_the_likeliest_boxes_are_those_of_a_plain_loop_and_the_suppressed_follow():
    rng = np.random.default_rng(0)
    scores, boxes = rng.normal(size=(3, 12)), random_boxes(rng, 3, 12)
    found = output(rg.BestBoxes(12, overlap=0.3), scores, boxes)
    for row in range(3):
        chosen, others = suppressed(scores[row], boxes[row], 0.3)
        assert 3 < len(chosen) < 12
        np.testing.assert_array_equal(found[row], boxes[row][chosen + others])


def test_true_boxes_come_first_in_training_alone():
    rng = np.random.default_rng(1)
    scores, boxes, truth = rng.normal(size=(1, 5)), random_boxes(rng, 1, 5), random_boxes(rng, 1, 4)
    labels = np.array([[[-1, 2], [-1, 0]]])
    layer = rg.BestBoxes(3, overlap=0.99)
    likeliest = boxes[0][np.argsort(-scores[0])]
    np.testing.assert_array_equal(output(layer, scores, boxes, truth, labels)[0], likeliest[:3])
    found = output(layer, scores, boxes, truth, labels, train=True)[0]
    np.testing.assert_array_equal(found, [truth[0, 1], truth[0, 3], likeliest[0]])


def test_matches_are_those_of_plain_loops():
    rng = np.random.default_rng(2)
    boxes, truth = random_boxes(rng, 2, 30), random_boxes(rng, 2, 4)
    truth[1, 1] = [0, 0, 0.01, 0.01]  # overlaps nothing
    labels = np.array([[0, -1, 2, 1], [1, 0, -1, -1]])
    layer = rg.MatchBoxes(3, positive=0.5, negative=0.2, each=True)
    found = output(layer, boxes, truth, labels)
    for row in range(2):
        there = [i for i in range(4) if labels[row, i] >= 0]
        shares = np.array([[overlap(box, truth[row, i]) for i in there] for box in boxes[row]])
        for n, box in enumerate(boxes[row]):
            best = shares[n].argmax()
            is_object = shares[n, best] >= 0.5 or any(0 < s == shares[:, i].max() for i, s in enumerate(shares[n]))
            is_background = not is_object and shares[n].max() < 0.2
            aim = truth[row, there[best]]
            shift = [((aim[i] + aim[i + 2]) - (box[i] + box[i + 2])) / 2 / (box[i + 2] - box[i]) for i in (0, 1)]
            shift += [np.log((aim[i + 2] - aim[i]) / (box[i + 2] - box[i])) for i in (0, 1)]
            number = labels[row, there[best]] + 1 if is_object else 0
            assert found["object"][row, n] == is_object
            assert found["known"][row, n] == (is_object or is_background)
            assert found["class"][row, n].tolist() == [float(found["known"][row, n] and i == number) for i in range(4)]
            np.testing.assert_allclose(found["shift"][row, n], np.array(shift) * is_object, rtol=0, atol=EXACT)
    assert 0 < found["known"].sum() < found["known"].size
    everything = output(rg.MatchBoxes(3), boxes, truth, np.full((2, 4), -1))
    assert everything["class"][..., 0].all()  # without objects all is background
    assert not everything["shift"].any()


def test_the_shift_between_two_boxes_moves_one_onto_the_other():
    rng = np.random.default_rng(3)
    truth = random_boxes(rng, 1, 20)
    boxes = truth + rng.uniform(-0.04, 0.04, truth.shape)
    matched = output(rg.MatchBoxes(1, positive=0.1, negative=0.1), boxes, truth, np.zeros((1, 20), np.int32))
    aims = np.array([max(truth[0], key=lambda box, b=b: overlap(b, box)) for b in boxes[0]])
    moved = output(rg.ShiftBoxes(), boxes, matched["shift"])
    np.testing.assert_allclose(moved[0], aims, rtol=0, atol=EXACT)
    shift = np.array([[[0.5, -0.25, np.log(2), -np.log(2)], [9, 0, 0, 0]]])
    by_hand = output(rg.ShiftBoxes(), np.array([[[0.4, 0.4, 0.6, 0.8]] * 2]), shift)
    np.testing.assert_allclose(by_hand[0], [[0.4, 0.4, 0.8, 0.6], [1, 0.4, 1, 0.8]], rtol=0, atol=EXACT)


def test_anchors_and_cells_lie_where_they_should():
    boxes = output(rg.AnchorBoxes([0.5], ratios=[1.0, 4.0]), np.zeros((1, 1, 2, 3)))
    np.testing.assert_allclose(
        boxes[0], [[0, 0.25, 0.5, 0.75], [0.125, 0, 0.375, 1], [0.5, 0.25, 1, 0.75], [0.625, 0, 0.875, 1]], atol=EXACT
    )
    rng = np.random.default_rng(4)
    columns = {
        "cell_box": rng.uniform(0.4, 0.6, (2, 2, 3, 4)) * [1, 1, 0.4, 0.4],  # inside the image
        "cell_filled": np.ones((2, 2, 3), bool),
        "cell_class": np.zeros((2, 2, 3), int),
    }
    decoded = np.array(Boxes(("a",), (2, 3)).true_boxes(columns))[..., :4]
    np.testing.assert_allclose(output(rg.CellBoxes(), columns["cell_box"]), decoded, rtol=0, atol=EXACT)


def test_regions_are_decoded_with_a_score_for_each_class():
    target = Boxes(("a", "b"), (2, 2))
    logits = np.log([[0.1, 0.2, 0.7], [0.8, 0.15, 0.05], [0.2, 0.2, 0.6]])
    edges = np.array([[0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9], [0.1, 0.1, 0.5, 0.52]])
    outputs = np.concatenate([edges, logits], -1)[None]
    np.testing.assert_allclose(target.decode(outputs).boxes[0], [[*edges[0], 0.7, 1]])
    found = target.every(outputs)[0]
    np.testing.assert_allclose(found[:, 4:], [[0.7, 1], [0.2, 0], [0.15, 0], [0.05, 1]])
    with pytest.raises(ShapeError, match=r"or \(rows, regions, 7\): edges, logits of the background and the classes"):
        target.decode(np.zeros((1, 3, 8)))


def test_what_does_not_fit_is_named():
    box = np.zeros((1, 2, 4), np.float32)
    for layer, inputs, words in (
        (rg.BestBoxes(1), (np.zeros((1, 3)), box), "expected a score for each of 2 boxes"),
        (rg.BestBoxes(3), (np.zeros((1, 2)), box), "count: only 2 boxes to choose from"),
        (rg.BestBoxes(1), (np.zeros((1, 2)), box, box), "true boxes and their class numbers, or neither"),
        (rg.MatchBoxes(1), (box, box, np.zeros((1, 3), int)), "expected a class number for each of 2 true boxes"),
        (rg.ShiftBoxes(), (box, np.zeros((1, 1, 4))), "expected four numbers for each of 2 boxes"),
        (rg.ShiftBoxes(), (np.zeros((1, 8)), box), r"expected boxes \(batch, boxes, 4\), got \(1, 8\)"),
        (rg.AnchorBoxes([1.0]), (box,), r"expected a map \(batch, height, width, channels\)"),
        (rg.CellBoxes(), (box,), "expected a box in each cell"),
    ):
        with pytest.raises(ShapeError, match=words):
            layer.forward({}, {}, Context(), *inputs)
    with pytest.raises(DataTypeError, match="class numbers must be integers, found float32"):
        rg.MatchBoxes(1).forward({}, {}, Context(), box, box, np.zeros((1, 2), np.float32))
    with pytest.raises(ConfigError, match="is larger than `positive`"):
        rg.MatchBoxes(1, positive=0.3, negative=0.4)


def test_a_network_in_use_does_without_the_truth():
    network = rg.Network(
        rg.named(rg.CellBoxes(), "truth", inputs="cell_box"),
        rg.named(rg.Dense(4), "move", inputs="x"),
        rg.named(rg.MatchBoxes(3), "match", inputs=["move", "truth", "cell_class"]),
        rg.named(rg.BestBoxes(1), "best", inputs=["scores", "move", "truth", "cell_class"]),
    )
    part = in_use(network, ["best"])
    assert [node.name for node in part.nodes] == ["move", "best"]
    assert part.columns == ("x", "scores")
    assert network.columns == ("cell_box", "x", "cell_class", "scores")
    plain = rg.Network(rg.Dense(1))
    assert in_use(plain, [plain.output]) is plain
