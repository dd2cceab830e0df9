"""What `import retrograd` offers."""

import importlib
import inspect

import pytest

import retrograd
from retrograd.network.initializers import initializers
from retrograd.network.layer import layers
from retrograd.network.losses.loss import losses
from retrograd.network.scope import blocks
from retrograd.update.optimizer import optimizers
from retrograd.update.penalties import penalties
from retrograd.update.schedule import schedules

REGISTRIES = (layers, losses, blocks, optimizers, schedules, penalties, initializers)


@pytest.mark.parametrize("name", retrograd.__all__)
def test_every_public_name_exists_and_is_documented(name):
    found = getattr(retrograd, name)
    assert name == "__version__" or inspect.getdoc(found), name


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_everything_that_a_configuration_can_name_is_public(registry):
    public = {getattr(retrograd, name) for name in retrograd.__all__ if inspect.isclass(getattr(retrograd, name))}
    assert {registry[name] for name in registry} <= public


def test_a_function_is_not_hidden_by_the_package_of_its_name():
    importlib.import_module("retrograd.train.loop")
    importlib.import_module("retrograd.backprop.contract")
    assert callable(retrograd.train)
    assert callable(retrograd.backprop)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Dens'"):
        _ = retrograd.Dens
