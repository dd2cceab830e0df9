"""A registry: by name, in order, each name once."""

import pytest

from retrograd.base.errors import ConfigError
from retrograd.base.registry import Registry


class Thing:
    pass


@pytest.fixture
def things():
    registry: Registry[Thing] = Registry("thing")
    registry.register("b", note="first")(type("B", (Thing,), {}))
    registry.register("a")(type("A", (Thing,), {}))
    return registry


def test_names_keep_the_order_of_registration(things):
    assert list(things) == ["b", "a"]
    assert len(things) == 2
    assert "a" in things
    assert "c" not in things


def test_an_entry_holds_the_class_and_its_facts(things):
    assert things.entry("b").facts == {"note": "first"}
    assert things["b"] is things.entry("b").cls
    assert things["b"].registered_name == "b"


def test_a_class_knows_its_name_and_a_subclass_that_of_its_base(things):
    assert things.name_of(things["a"]) == "a"
    assert things.name_of(type("Special", (things["a"],), {})) == "a"
    with pytest.raises(
        ConfigError, match=r'Thing is not a registered thing; write @rg.things.register\("name", ...\) above it'
    ):
        things.name_of(Thing)


def test_an_unknown_name_and_a_second_registration_are_refused(things):
    with pytest.raises(ConfigError, match="unknown thing 'xyz'; known: a, b"):
        things["xyz"]
    again = things.register("a")
    with pytest.raises(ConfigError, match="the thing 'a' is registered twice"):
        again(Thing)


def test_a_class_that_is_written_again_as_in_a_notebook_replaces_itself(things):
    def cell(value):
        @things.register("c")
        class Cell(Thing):
            held = value

    cell(1)
    cell(2)
    assert things["c"].held == 2


def test_a_registry_narrows_to_one_class(things):
    assert things.fitting(things["a"]) == ["a"]
    assert things.near("bb", things["a"]) == "known: a"
