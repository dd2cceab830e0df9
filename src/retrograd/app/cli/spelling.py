"""Rewrites hints that name configuration keys so that they name options, for a table without a configuration."""

from __future__ import annotations

import dataclasses
import re
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from retrograd.base.errors import Problem, RetrogradError
from retrograd.base.schema import UNKNOWN_KEY
from retrograd.data.settings import DataSettings
from retrograd.training.config.config import RunConfig

DATA_KEYS = {field.name for field in dataclasses.fields(DataSettings)}
SECTIONS = {field.name for field in dataclasses.fields(RunConfig)}


def as_option(text: str) -> str:
    """Return a sentence with each `key: value` replaced by the option that sets it."""
    return re.sub(r"`([a-z_]+):(?: ([^`]*))?`", _option, text)


def _option(match: re.Match[str]) -> str:
    key, value = match.group(1), match.group(2) or ""
    if key == "data" and (inner := re.fullmatch(r"\{([a-z_]+): (.*)\}", value)):
        key, value = inner.groups()
    if key == "target":
        return f"--target {shlex.quote(value)}" if value else "--target"
    path = f"data.{key}" if key in DATA_KEYS else key if key in SECTIONS else ""
    if not path:
        return match.group()
    return f"--set {shlex.quote(f'{path}={value}')}" if value else f"--set {path}=..."


def _place(problem: Problem) -> str:
    is_key = problem.message == UNKNOWN_KEY or re.split(r"[.:]", problem.where)[0] in SECTIONS
    return f"--set {problem.where}" if is_key else problem.where


@contextmanager
def spelt_as_options(enabled: bool = True) -> Iterator[None]:
    """Make errors and warnings inside the block name options instead of keys."""
    if not enabled:
        yield
        return
    with warnings.catch_warnings():
        show: Any = warnings.showwarning
        warnings.showwarning = lambda message, *rest, **more: show(as_option(str(message)), *rest, **more)
        try:
            yield
        except RetrogradError as error:
            reworded = [
                problem._replace(
                    where=_place(problem),
                    message=as_option(problem.message),
                    cure=as_option(problem.cure),
                )
                for problem in error.problems
            ]
            raise type(error)(reworded) from error
