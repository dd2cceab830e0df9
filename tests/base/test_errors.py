"""Errors say where, what, and the cure; suggestions name what is near."""

import pytest

from retrograd.base import errors
from retrograd.base.errors import (
    ConfigError,
    DataTypeError,
    LabelError,
    Problem,
    ResourceError,
    RetrogradError,
    ShapeError,
    did_you_mean,
)


def test_one_problem_reads_place_message_cure():
    error = ConfigError("unknown key", where="training.epoch", cure="did you mean 'epochs'?")
    assert str(error) == "training.epoch: unknown key; did you mean 'epochs'?"
    assert str(ShapeError("does not fit")) == "does not fit"


def test_several_problems_are_a_line_each():
    error = ConfigError([Problem("a", "missing"), Problem("b", "unknown key", "remove it")])
    assert str(error) == "a: missing\nb: unknown key; remove it"
    assert [problem.where for problem in error.problems] == ["a", "b"]


def test_errors_are_the_built_in_ones_that_a_caller_would_expect():
    for kind, built_in in (
        (ShapeError, ValueError),
        (DataTypeError, TypeError),
        (LabelError, IndexError),
        (ResourceError, OSError),
    ):
        assert issubclass(kind, built_in)


def test_exit_codes_tell_who_must_act_and_one_is_left_for_internal_errors():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RetrogradError)]
    assert {kind.exit_code for kind in kinds} == {2, 3, 4, 5, 6, 7}


@pytest.mark.parametrize(
    ("found", "known", "hint"),
    [
        ("relo", ["relu", "tanh"], "did you mean 'relu'?"),
        ("xyz", ["relu", "tanh"], "known: relu, tanh"),
        ("xyz", [], ""),
    ],
)
def test_did_you_mean_names_the_nearest_or_all(found, known, hint):
    assert did_you_mean(found, known) == hint
