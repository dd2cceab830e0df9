"""Programs kept as files: a later process runs them with the same bits, and passes over what is not whole."""

import sys
from collections import OrderedDict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.compilation import program_files, programs
from retrograd.base.compilation.cache import CACHE
from retrograd.base.compilation.described import IndescribableError, described, form, named, tree_of
from retrograd.base.compilation.programs import QUICKLY, Program, known_shapes


@dataclass(frozen=True)
class Setting:
    open_numbers: ClassVar[tuple[str, ...]] = ("rate",)

    rate: float
    power: int = 1


class Step(NamedTuple):
    x: jax.Array
    key: jax.Array
    further: dict[str, jax.Array]


def step(setting: Setting, x: jax.Array, key: jax.Array) -> Step:
    moved = (1 - setting.rate) * x if setting.rate < 0.5 else x**setting.power
    return Step(moved, jax.random.split(key)[0], OrderedDict(b=jnp.sin(x), a=x.sum()))


def inverse(_: Setting, x: jax.Array) -> jax.Array:
    return jnp.linalg.qr(x)[0]


for thing in (Setting, Step, step, inverse):
    thing.__module__ = "retrograd.tests.programs"  # things of other packages have no description
X, KEY = jnp.arange(3.0), jax.random.key(1)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(program_files, "_stores", [program_files.Store(tmp_path)])
    monkeypatch.setitem(sys.modules, "retrograd.tests.programs", SimpleNamespace(Setting=Setting, Step=Step))
    CACHE.clear()
    yield tmp_path
    CACHE.clear()


def in_a_later_process(*arrays, setting=Setting(0.25), function=step, **options):
    """Return what a program gives to whoever has nothing in memory, and how many programs JAX compiled for it."""
    CACHE.clear()
    before = rg.programs().compiled
    result = Program(function, setting, **options)(*arrays)
    jax.block_until_ready(result)
    return result, rg.programs().compiled - before


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        x, y = (jax.random.key_data(z) if jnp.issubdtype(z.dtype, jax.dtypes.prng_key) else z for z in (x, y))
        assert x.dtype == y.dtype
        assert np.array_equal(x, y)


def test_a_later_process_compiles_nothing_and_gets_the_same_bits_and_types():
    in_a_later_process(X, KEY, setting=Setting(0.25, power=3))  # with what JAX itself compiles for keys
    first, compiled = in_a_later_process(X, KEY)
    assert compiled == 1
    second, compiled = in_a_later_process(X, KEY)
    assert compiled == 0
    same(first, second)
    same(first, jax.jit(step, static_argnums=0)(Setting(0.25), X, KEY))
    assert isinstance(second, Step)
    assert isinstance(second.further, OrderedDict)


def test_another_number_takes_the_same_file_and_one_that_decides_otherwise_its_own(folder):
    for rate, files in ((0.25, 1), (0.125, 1), (0.75, 2), (0.8, 2), (0.25, 2)):
        result, _ = in_a_later_process(X, KEY, setting=Setting(rate))
        same(result, jax.jit(step, static_argnums=0)(Setting(rate), X, KEY))
        assert len(list(folder.iterdir())) == files


def test_other_shapes_dtypes_settings_and_modes_have_files_of_their_own(folder):
    for i, options in enumerate(({}, {"setting": Setting(0.25, power=2)}, {"options": QUICKLY}, {"donate": (1,)}), 1):
        in_a_later_process(X, jax.random.clone(KEY), **options)
        assert len(list(folder.iterdir())) == i
    in_a_later_process(jnp.arange(4.0), KEY)
    in_a_later_process(X.astype(jnp.bfloat16), KEY)
    in_a_later_process(np.arange(3, dtype=np.float32), KEY)
    assert len(list(folder.iterdir())) == 7
    with jax.enable_x64(True):
        result, _ = in_a_later_process(np.arange(3.0), KEY)
    assert result.x.dtype == np.float64


@pytest.mark.parametrize("damage", [
    lambda content: content[: len(content) // 2], lambda content: content[:-1] + bytes([content[-1] ^ 1]), lambda content: b"",
    lambda content: b"0" * 64 + content[64:], lambda content: b"nothing of ours\n" * 9,
])  # fmt: skip
def test_a_damaged_file_is_passed_over_and_replaced(folder, damage):
    first, _ = in_a_later_process(X, KEY)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    second, compiled = in_a_later_process(X, KEY)
    assert compiled == 1
    same(first, second)
    assert in_a_later_process(X, KEY)[1] == 0
    assert list(folder.iterdir()) == [file]


def test_sources_versions_and_processor_are_part_of_the_name(folder, monkeypatch):
    in_a_later_process(X, KEY)
    monkeypatch.setattr(program_files, "surroundings", lambda: "another version")
    assert in_a_later_process(X, KEY)[1] == 1
    assert len(list(folder.iterdir())) == 2


def test_sources_that_change_change_the_surroundings(monkeypatch, tmp_path):
    file = tmp_path / "a" / "layer.py"
    file.parent.mkdir()
    file.write_text("one")
    monkeypatch.setattr(program_files, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    first = program_files._sources()
    assert program_files._sources() == first
    file.write_text("three")
    assert program_files._sources() != first


def test_what_has_no_description_is_compiled_by_each_process(folder):
    @dataclass(frozen=True)
    class Elsewhere:
        rate: float = 0.25
        power: int = 1

    assert in_a_later_process(X, KEY, setting=Elsewhere())[0].x.shape == (3,)
    assert in_a_later_process(X, KEY, function=lambda setting, x, key: x + 1)[0].shape == (3,)
    assert list(folder.iterdir()) == []


def test_a_program_that_calls_lapack_is_not_kept(folder):
    square = jnp.eye(3) + 1
    for _ in range(2):
        assert np.allclose(np.abs(in_a_later_process(square, function=inverse)[0] @ np.ones(3)).shape, (3,))
    assert list(folder.iterdir()) == []


def test_donated_buffers_are_consumed():
    for _ in range(2):
        x = jnp.arange(3.0)
        in_a_later_process(x, KEY, donate=(0,))
        assert x.is_deleted()


def test_inside_of_a_trace_the_program_is_part_of_it(folder):
    program = Program(step, Setting(0.25), options=QUICKLY)
    slopes = jax.vmap(jax.grad(lambda x: program(x[None], KEY).x[0]))(X)
    assert np.array_equal(slopes, [0.75, 0.75, 0.75])
    assert list(folder.iterdir()) == []


def test_what_the_caller_writes_into_its_arrays_afterwards_changes_nothing():
    for _ in range(2):
        x = np.arange(3, dtype=np.float32)
        result, _ = in_a_later_process(x, KEY)
        x[:] = -1
        assert np.array_equal(result.x, [0, 0.75, 1.5])


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(monkeypatch, tmp_path):
    monkeypatch.setattr(program_files, "_stores", [program_files.Store(tmp_path / "absent")])
    assert in_a_later_process(X, KEY)[0].x.shape == (3,)


def test_shapes_and_answers_are_asked_for_once():
    asked = []

    def trace():
        asked.append(1)
        return {"x": jax.ShapeDtypeStruct((2, 3), jnp.bfloat16), "key": jax.eval_shape(lambda: jax.random.key(0))}

    first, second = (known_shapes(trace, ("network", 3)) for _ in range(2))
    assert first == second
    assert len(asked) == 1
    known_shapes(trace, ("network", 4))
    assert len(asked) == 2


# ----------------------------------------------------------------------------------------------------------- described


def test_things_that_differ_have_descriptions_that_differ():
    things = [
        None, True, 1, 1.0, "1", (1,), [1], {"a": 1}, {"a": 2}, (1, (2,)), ((1, 2),), frozenset({1}), float("nan"),
        0.1, np.float32(0.1), np.zeros(3), np.zeros(3, np.float32), np.zeros((3, 1)), jnp.dtype("float32"),
        jax.ShapeDtypeStruct((1,), jnp.float32), jax.ShapeDtypeStruct((1,), jnp.int32), Setting(1.0), Setting(2.0),
        Step(1, 2, {}), (1, 2, {}), step, inverse, jax.tree.structure((1, 2)), jax.tree.structure([1, 2]),
    ]  # fmt: skip
    texts = [str(described(thing)) for thing in things]
    assert len(set(texts)) == len(texts)
    assert described(Setting(1.0)) == described(Setting(1.0))


@pytest.mark.parametrize("thing", [lambda x: x, object(), np.array([object()]), pytest, (1, [object()])])
def test_what_cannot_be_described_is_refused(thing):
    with pytest.raises(IndescribableError):
        described(thing)


def test_a_form_is_read_back():
    tree = jax.tree.structure(Step(1, None, OrderedDict(b=(1, [2, 3]), a={"c": Step(1, 2, {})})))
    assert tree_of(form(tree)) == tree


@pytest.mark.parametrize("name", ["os:system", "builtins:eval", "subprocess:run", "builtins:__import__"])
def test_a_file_names_no_code_from_elsewhere(name):
    with pytest.raises((IndescribableError, KeyError)):
        named(name)


def test_a_repeated_call_is_dispatched_by_jax_itself(folder, monkeypatch):
    program = Program(step, Setting(0.25))
    first = program(X, KEY)
    monkeypatch.setattr(program_files, "signature", None)  # which every call through Python asks for
    monkeypatch.setattr(programs, "signature", None)
    again = program(X, KEY)
    assert np.array_equal(again.x, first.x)
    assert np.array_equal(jax.random.key_data(again.key), jax.random.key_data(first.key))
