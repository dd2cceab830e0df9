"""Where a table came without a configuration, hints name options."""

import warnings

import pytest

from retrograd.app.cli.spelling import as_option, spelt_as_options
from retrograd.base.errors import ConfigError, Problem, RetrogradWarning


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("leave it out with `exclude: [id]`", "leave it out with --set 'data.exclude=[id]'"),
        ("`target:` names another", "--target names another"),
        ("see `kinds:`", "see --set data.kinds=..."),
        ("choose `split: none`", "choose --set data.split=none"),
        ("look at (`data: {scale: standard}`)", "look at (--set data.scale=standard)"),
        ("the column `x` is empty", "the column `x` is empty"),
        ("`something: else`", "`something: else`"),
    ],
)
def test_keys_become_options(text, spelt):
    assert as_option(text) == spelt


def test_errors_and_warnings_name_options():
    problem = Problem("data.split.column", "missing", "see `kinds:`")
    with (
        pytest.raises(ConfigError, match=r"^--set data.split.column: missing; see --set data.kinds=...$"),
        spelt_as_options(),
    ):
        raise ConfigError([problem])
    with pytest.raises(ConfigError, match=r"^data.split.column: missing; see `kinds:`$"), spelt_as_options(False):
        raise ConfigError([problem])
    shown = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: shown.append(str(message))
        with spelt_as_options():
            warnings.warn(RetrogradWarning("see `encoding:`"), stacklevel=1)
    assert shown == ["see --set data.encoding=..."]
