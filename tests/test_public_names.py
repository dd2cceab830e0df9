"""What `import retrograd` offers."""

import inspect
import pkgutil

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


def test_no_package_has_the_name_of_a_public_function():
    packages = {module.name for module in pkgutil.iter_modules(retrograd.__path__)}
    assert packages & set(retrograd.__all__) == {"torch"}  # which is that package's other name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Dens'"):
        _ = retrograd.Dens
