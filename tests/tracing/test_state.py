"""Batch norm in a trace: the batch's mean and variance, and what becomes of the running ones."""

import numpy as np

import retrograd as rg

CONFIG = {
    "data": {"rows": [[1, 4, 0.0], [3, 0, 1.0], [5, 2, 0.5], [3, 2, 2.5]]},
    "network": ["batch_norm", {"dense": 1}],
    "optimizer": {"sgd": 0.1},
    "training": {"epochs": 1, "batch_size": 4},
}


def test_batch_norm_shows_the_batchs_statistics_and_the_running_ones_before_and_after():
    trace = rg.trace(CONFIG)
    node = next(node for node in trace.numbers.nodes if node.path == "batch_norm_1")
    np.testing.assert_allclose(node.state["mean"][1], [0.3, 0.2], rtol=1e-6)  # 0.9 * 0 + 0.1 * [3, 2]
    np.testing.assert_allclose(node.state["var"][1], [0.9 + 0.1 * 8 / 3, 0.9 + 0.1 * 8 / 3], rtol=1e-6)
    text = trace.text()
    for word in ("batch mean", "batch var", "running mean", "new var", "0.9000 running + 0.1000 batch", "4/3"):
        assert word in text or word.replace("000", "") in text
    assert '"state"' in trace.json()
