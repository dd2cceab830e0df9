"""Metrics of masks, tokens and boxes against values worked out by hand."""

import numpy as np
import pytest

from retrograd.data.cells.vocabulary import Vocabulary
from retrograd.data.images.boxes import Boxes, chosen_boxes, overlap
from retrograd.data.images.decoding import Form
from retrograd.data.images.masks import Masks
from retrograd.data.texts.targets import NextToken
from retrograd.training.use.detection import average_precision
from retrograd.training.use.tallies import MaskTally, TokenTally, tally_of


def test_intersection_over_union_is_the_mean_over_classes_that_occur():
    tally = MaskTally(Masks((0, 1, 2), Form(1, 4, "mask", "stretch", 9, 9), 9))
    for truth, predicted in (([0, 0, 1, 1], [0, 1, 1, 1]), ([0, 0, 0, 0], [0, 0, 0, 2])):
        tally.add(np.eye(3)[[predicted]], {"y": np.array([truth])})
    # class 0: 4 of 6, class 1: 2 of 3; class 2 does not occur
    assert tally.scores(True) == pytest.approx({"accuracy": 6 / 8, "mean_iou": (4 / 6 + 2 / 3) / 2})


def test_padding_counts_neither_for_accuracy_nor_for_perplexity():
    tally = TokenTally(0)
    logits = np.log(np.array([[[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]], [[0.25] * 4, [0.1, 0.1, 0.1, 0.7]]]))
    tally.add(logits, {"y": np.array([[3, 0], [2, 3]])})
    expected = np.exp(-(np.log(0.4) + np.log(0.25) + np.log(0.7)) / 3)
    assert tally.scores(False) == pytest.approx({"accuracy": 2 / 3, "perplexity": expected})


def test_non_finite_outputs_have_no_metrics():
    tally = TokenTally(0)
    tally.add(np.full((1, 2, 4), np.nan), {"y": np.array([[1, 2]])})
    assert tally.scores(False) == {}


def test_overlap_is_intersection_over_union():
    others = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [0.5, 0.5, 1.5, 1.5]], float)
    np.testing.assert_allclose(overlap(np.array([0, 0, 2, 2.0]), others), [1, 1 / 7, 0, 1 / 4])


def test_the_likeliest_of_overlapping_boxes_of_a_class_is_kept():
    edges = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [0, 0, 1, 0.9], [0.5, 0.5, 1, 1]])
    scores, classes = np.array([0.8, 0.9, 0.7, 0.2]), np.array([0, 0, 1, 0])
    boxes = chosen_boxes(edges, scores, classes)
    assert boxes[:, 4:].tolist() == [[0.9, 0], [0.7, 1]]


def test_average_precision_is_the_area_under_precision_over_recall():
    truth = [np.array([[0, 0, 1, 1, 0], [2, 2, 3, 3, 0]]), np.array([[0, 0, 1, 1, 0]])]
    detections = [
        np.array([[0, 0, 1, 1, 0.9, 0], [0, 0, 1, 1, 0.8, 0], [2, 2, 3, 3, 0.6, 0]]),  # right, a duplicate, right
        np.array([[5, 5, 6, 6, 0.7, 0]]),  # wrong
    ]
    # by score: right, wrong, wrong, right: precision 1 up to recall 1/3, then 2/4 up to 2/3
    assert average_precision(detections, truth) == pytest.approx(1 / 3 + 1 / 3 * 1 / 2)
    assert average_precision([each[:, :6][:0] for each in detections], truth) == 0
    perfect = [np.column_stack([each[:, :4], np.ones(len(each)), each[:, 4]]) for each in truth]
    assert average_precision(perfect, truth) == 1


def test_a_tally_is_chosen_by_target_and_shape():
    vocabulary = Vocabulary("words", False, ("a",))
    assert isinstance(tally_of(NextToken(vocabulary), ("y",), (2, 3, 5), "logit"), TokenTally)
    assert tally_of(NextToken(vocabulary), ("other",), (2, 3, 5), "logit") is None
    assert tally_of(Boxes(("a",), (2, 2)), ("cell_object",), (1, 2, 2, 1), "logit") is None
    assert tally_of(None, ("y",), (2, 1), "logit") is None
