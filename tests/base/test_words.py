"""Every setting that a configuration can hold is described, once, with its class."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveInt
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings, fields, settings_class, unwrap
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
    assert [field.name for field in fields(cls) if not field.words.what] == []


@dataclass(frozen=True)
class Base(Settings):
    size: Annotated[PositiveInt, Words("how large")] = 1
    name: Annotated[str, Words("how called")] = "a"


@dataclass(frozen=True)
class Derived(Base):
    size: Annotated[PositiveInt, Words("how large", more="larger", why="usual")] = 2
    name: str = "b"


def test_the_words_of_a_base_class_hold_for_its_subclasses_unless_they_have_their_own():
    size, name = fields(Derived)
    assert name.words == Words("how called")
    assert (size.words.more, size.words.less, size.words.why) == ("larger", "", "usual")


def test_words_are_no_part_of_what_a_setting_may_hold():
    assert [field.annotation for field in fields(Base)] == [PositiveInt, str]
