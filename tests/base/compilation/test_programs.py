"""One program for all that would trace alike, and numbers as its arguments."""

import gc
import threading
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.compilation import scalars
from retrograd.base.compilation.cache import CACHE
from retrograd.base.compilation.programs import Program
from retrograd.base.compilation.scalars import on_host


@dataclass(frozen=True)
class Setting:
    open_numbers: ClassVar[tuple[str, ...]] = ("rate",)

    rate: float
    power: int = 1


Setting.__module__ = "retrograd.tests"  # numbers of other classes are not opened


@pytest.fixture(autouse=True)
def empty():
    CACHE.clear()


@pytest.fixture
def compiled():
    """How many programs have been compiled since the test began."""
    before = rg.programs().compiled
    return lambda: rg.programs().compiled - before


def decayed(setting: Setting, x: jax.Array) -> jax.Array:
    return (1 - setting.rate) * x + setting.rate**setting.power


X, ONE = jnp.arange(3.0), jnp.ones(())


def test_another_number_compiles_nothing_and_is_the_one_that_counts(compiled):
    results = [Program(decayed, Setting(rate))(X) for rate in (0.9, 0.1, 0.9)]
    assert compiled() == 1
    for rate, result in zip((0.9, 0.1, 0.9), results, strict=True):
        assert np.array_equal(result, jax.jit(lambda x, rate=rate: (1 - rate) * x + rate)(X))


def test_what_is_no_number_compiles_anew(compiled):
    Program(decayed, Setting(0.9))(X)
    Program(decayed, Setting(0.9, power=2))(X)
    assert compiled() == 2


def test_arithmetic_among_numbers_is_done_once_in_double_precision():
    def rest(setting, x):
        return x * (1 - setting.rate)

    found = Program(rest, Setting(0.999))(ONE)
    assert found == np.float32(1 - 0.999) != np.float32(1) - np.float32(0.999)


def test_a_decision_by_value_holds_for_values_that_decide_alike(compiled):
    def halved(setting, x):
        return x / 2 if setting.rate > 0.5 else x * setting.rate

    assert [float(Program(halved, Setting(rate))(ONE)) for rate in (0.25, 0.75, 0.9, 0.125)] == [
        0.25, 0.5, 0.5, 0.125,
    ]  # fmt: skip
    assert compiled() == 2


def test_a_number_that_only_python_reads_is_part_of_the_program(compiled):
    def rounded(setting, x):
        return x * float(setting.rate)

    assert [float(Program(rounded, Setting(rate))(ONE)) for rate in (0.25, 0.5, 0.25)] == [0.25, 0.5, 0.25]
    assert compiled() == 2


def test_what_the_host_makes_of_a_number_is_an_argument_too(compiled):
    def bits(rate):
        return np.uint32(rate * 2**31)

    def threshold(setting, x):
        return x >= jnp.asarray(on_host(bits, setting.rate), jnp.uint32)

    x = np.asarray(2**30, np.uint32)
    assert [bool(Program(threshold, Setting(rate))(x)) for rate in (0.25, 0.75)] == [True, False]
    assert compiled() == 1


def test_a_caller_that_others_have_overtaken_keeps_its_numbers():
    """A later trace, for other shapes, may decide by values that the first caller does not have."""

    def by_shape(setting, x):
        return x * float(setting.rate) if x.shape == (2,) else x * setting.rate

    first, second = Program(by_shape, Setting(0.25)), Program(by_shape, Setting(0.5))
    assert first(X)[1] == 0.25
    assert second(jnp.ones(2))[0] == 0.5
    assert first(jnp.ones(2))[0] == 0.25
    assert first(X)[1] == 0.25
    assert second(X)[1] == 0.5


def test_classes_of_others_keep_their_plain_numbers():
    @dataclass(frozen=True)
    class Foreign:
        open_numbers: ClassVar[tuple[str, ...]] = ("rate",)
        rate: float

    values: list[float] = []
    assert scalars.opened(Foreign(0.5), values).rate == 0.5
    assert not values


def test_things_without_a_hash_have_programs_of_their_own(compiled):
    for _ in range(2):
        Program(lambda table, x: x + table["a"], {"a": 1.0})(X)
    assert compiled() == 2


def test_threads_share_a_program(compiled):
    results: list[float] = []

    def work(rate):
        results.append(float(Program(decayed, Setting(rate))(X)[2]))

    threads = [threading.Thread(target=work, args=(rate,)) for rate in (0.25, 0.5, 0.75)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [1.25, 1.5, 1.75]


def test_the_least_recently_used_program_goes(monkeypatch):
    monkeypatch.setattr("retrograd.base.compilation.cache.KEPT", 2)
    for power in range(4):
        Program(decayed, Setting(0.5, power))(X)
    gc.collect()
    assert rg.programs().kept == 2


# ------------------------------------------------------------------------------------------------------------- training

ROWS = {"x": np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)}


def fit(tmp_path, **optimizer):
    config = {
        "name": "shared",
        "data": {
            "rows": [[a, b, int(a > b)] for a, b in np.random.default_rng(0).normal(size=(40, 2)).round(2).tolist()]
        },
        "network": [
            {"dense": {"units": 4, "activation": "tanh"}},
            {"dropout": optimizer.pop("dropout", 0.1)},
            {"dense": 1},
        ],
        "loss": {"binary_cross_entropy": {"label_smoothing": optimizer.pop("smoothing", 0.1)}},
        "penalties": [{"l2": optimizer.pop("l2", 0.01)}],
        "training": {"epochs": 2, "batch_size": 8, "seed": optimizer.pop("seed", 0)},
        "optimizer": {"adamw": {"learning_rate": 0.01, "clip_global_norm": 1.0, **optimizer}},
    }
    return rg.train(config, root=tmp_path)


def test_a_second_fit_with_other_numbers_compiles_nothing(tmp_path, compiled):
    fit(tmp_path)
    first = compiled()
    for change in (
        {}, {"seed": 3}, {"learning_rate": 0.002}, {"weight_decay": 0.2}, {"beta1": 0.8}, {"beta2": 0.99}, {"eps": 1e-6},
        {"clip_global_norm": 0.5}, {"l2": 0.1}, {"dropout": 0.4}, {"smoothing": 0.05},
    ):  # fmt: skip
        fit(tmp_path, **change)
        assert compiled() == first, change


def test_a_fit_on_anothers_program_has_the_bits_of_one_on_its_own(tmp_path):
    other = {"learning_rate": 0.003, "beta1": 0.7, "dropout": 0.3, "smoothing": 0.2, "l2": 0.05, "weight_decay": 0.1}
    alone = fit(tmp_path, **other).history[-1].weights
    CACHE.clear()
    fit(tmp_path)
    assert fit(tmp_path, **other).history[-1].weights == alone


def test_of_programs_that_went_nothing_stays(monkeypatch):
    for name in ("KEPT", "COLLECT", "FORGET"):
        monkeypatch.setattr(f"retrograd.base.compilation.cache.{name}", 2)
    alive = []
    for i in range(1, 9):
        Program(decayed, Setting(0.5, power=i))(jnp.ones(i) + 1)  # beside it, operations that JAX compiles by itself
        alive.append(len(jax.devices()[0].client.live_executables()))
    assert max(alive[4:]) <= max(alive[2:4])
