"""Errors, warnings and notes that name options instead of configuration keys, for a table without a configuration."""

from __future__ import annotations

import dataclasses
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from retrograd.base.errors import Problem, RetrogradError, RetrogradWarning
from retrograd.base.plain_text import plain
from retrograd.base.schema import UNKNOWN_KEY
from retrograd.base.sentence import Mention, spelt
from retrograd.training.config.config import RunConfig

SECTIONS = {field.name for field in dataclasses.fields(RunConfig)}


def with_options(text: str) -> str:
    """Return a sentence with each setting as the option that sets it."""
    return spelt(text, _option)


def _option(mention: Mention) -> str:
    if not mention.path:
        return str(mention)
    if mention.path == "data.target":
        return f"--target {shlex.quote(mention.value)}" if mention.value else "--target"
    return f"--set {shlex.quote(f'{mention.path}={mention.value}') if mention.value else f'{mention.path}=...'}"


def _place(problem: Problem) -> str:
    is_key = problem.message == UNKNOWN_KEY or problem.where.replace(":", ".").partition(".")[0] in SECTIONS
    return f"--set {problem.where}" if is_key else problem.where


@contextmanager
def spelt_as_options(enabled: bool = True) -> Iterator[None]:
    """Make errors and warnings inside the block name options instead of keys."""
    if not enabled:
        yield
        return
    with warnings.catch_warnings():
        show: Any = warnings.showwarning
        warnings.showwarning = lambda message, *rest, **more: show(_warning(message), *rest, **more)
        try:
            yield
        except RetrogradError as error:
            reworded = [
                problem._replace(
                    where=_place(problem), message=with_options(problem.message), cure=with_options(problem.cure)
                )
                for problem in error.problems
            ]
            raise type(error)(reworded) from error


def _warning(warning: Warning) -> str:
    text = warning.args[0] if warning.args else ""
    return plain(with_options(text)) if isinstance(warning, RetrogradWarning) else str(warning)
