"""Outputs of any number of rows."""

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.training.use.evaluate import Evaluator, filled_up


@pytest.fixture(scope="module")
def evaluator():
    network = rg.Network(rg.Dense(8), rg.Tanh(), rg.Dense(1))
    return Evaluator(network, [rg.Objective.on(network, rg.MeanSquaredError())], None)


ROWS = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)


def test_any_number_of_rows_takes_a_program_for_each_power_of_two(evaluator):
    variables = evaluator.network.init(jax.random.key(0), {"x": ROWS})
    whole = evaluator.outputs(variables, {"x": ROWS})
    before = rg.programs().compiled
    for rows in range(1, 301):
        assert np.allclose(evaluator.outputs(variables, {"x": ROWS[:rows]}), whole[:rows], rtol=1e-6, atol=1e-6)
    assert rg.programs().compiled - before <= 9  # 1, 2, 4 ... 256; 512 existed already


@pytest.mark.parametrize(("rows", "filled"), [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (8, 8)])
def test_padding_repeats_the_last_row(rows, filled):
    column = filled_up(ROWS[:rows])
    assert len(column) == filled
    assert np.array_equal(column[:rows], ROWS[:rows])
    assert all(np.array_equal(row, ROWS[rows - 1]) for row in column[rows:])
