"""Every setting that a configuration can hold is described, once, with its class."""

import pytest

from retrograd.base.annotations import Words, describing
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings, fields, settings_class, unwrap, words_of
from retrograd.network.initializers import initializers
from retrograd.network.layer import layers
from retrograd.network.losses.loss import losses
from retrograd.network.scope import blocks
from retrograd.training.config.config import RunConfig
from retrograd.training.config.settings import LossOn
from retrograd.update.optimizer import optimizers
from retrograd.update.penalties import penalties
from retrograd.update.schedule import schedules

REGISTRIES: tuple[Registry, ...] = (layers, blocks, losses, optimizers, schedules, penalties, initializers)


def nested(cls):
    """A class of settings and those that its fields hold."""
    found = [cls]
    for field in fields(cls):
        inner = settings_class(unwrap(field.annotation)[0])
        if inner is not None and inner not in found:
            found += [each for each in nested(inner) if each not in found]
    return found


CLASSES = dict.fromkeys([*nested(RunConfig), LossOn, *(registry[name] for registry in REGISTRIES for name in registry)])


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_setting_has_its_words(cls):
    assert [field.name for field in fields(cls) if not (words_of(cls, field.name) or Words("")).what] == []


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_words_are_of_settings_that_there_are(cls):
    known = {field.name for field in fields(cls)}
    assert set(vars(cls).get("words", {})) <= known


def test_the_words_of_a_base_class_hold_for_its_subclasses_unless_they_have_their_own():
    class Base(Settings):
        words = describing(size="how large", name="how called")

    class Derived(Base):
        words = describing(size=("how large", "larger", "smaller", "usual"))

    assert words_of(Derived, "name") == Words("how called")
    assert words_of(Derived, "size").why == "usual"
    assert words_of(Derived, "other") is None
