"""What the pretrained models of a family have in common: their network, and where each tensor goes in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

import numpy as np

from retrograd.base.errors import Problem

LAYER = "{}"  # stands for a layer number, which counts from 0 in tensor names and from 1 in paths
Head = Literal["classes", "vocabulary"]
Place = tuple[str, str]  # node and name of a parameter


class Rule(NamedTuple):
    """Where a tensor goes: a pattern of its name, the paths of its parameters, and whether it is transposed.

    Several parameters are concatenated along the last axis, after transposing.
    """

    key: str
    paths: tuple[str, ...]
    transposed: bool = False


class Taken(NamedTuple):
    """A tensor and the parameters read from it, in the order in which they are concatenated."""

    key: str
    places: tuple[Place, ...]
    transposed: bool


class Family(NamedTuple):
    """A family of models.

    prefixes: optional prefixes of tensor names. renamed: pairs of an old name and the one used in the rules. others:
    patterns of tensors that are not parameters here, such as buffers. heads: patterns of the tensors of heads, which
    have no prefix; a network need not have the same head as its folder.
    """

    name: str
    kinds: tuple[str, ...]  # `model_type` in config.json
    rules: tuple[Rule, ...]
    prefixes: tuple[str, ...]
    others: tuple[str, ...]
    entries: Callable[[Mapping[str, Any], Head], list[Any]]
    renamed: tuple[tuple[str, str], ...] = ()
    heads: tuple[str, ...] = ()

    def plain_name(self, name: str) -> str:
        """Return a tensor name in the form used by the rules."""
        for prefix in self.prefixes:
            name = name.removeprefix(prefix)
        for old, new in self.renamed:
            name = name.replace(old, new)
        return name

    def key_of(self, path: str) -> tuple[str, Rule] | None:
        """Return the name of the tensor that contains a parameter, in the form used by the rules, and its rule."""
        for rule in self.rules:
            for pattern in rule.paths:
                match = re.fullmatch(re.escape(pattern).replace(re.escape(LAYER), "([0-9]+)"), path)
                if match:
                    return rule.key.format(*(int(number) - 1 for number in match.groups())), rule
        return None

    def tensors_of(self, params: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Taken], list[Place]]:
        """Return the tensors that contain these parameters, by name as in the rules, and the parameters without one."""
        parts: dict[str, list[tuple[int, Place, bool]]] = {}
        homeless: list[Place] = []
        for node, node_params in params.items():
            for name in node_params:
                key_and_rule = self.key_of(f"{node}/{name}")
                if key_and_rule is None:
                    homeless.append((node, name))
                    continue
                key, rule = key_and_rule
                number = next(i for i, pattern in enumerate(rule.paths) if pattern.endswith(f"/{name}"))
                parts.setdefault(key, []).append((number, (node, name), rule.transposed))
        taken = {
            key: Taken(key, tuple(place for _, place, _ in sorted(inside)), inside[0][2])
            for key, inside in parts.items()
        }
        return taken, homeless

    def lacks(self, place: Place) -> Problem:
        """Return the problem with a parameter that has no tensor in folders of this family."""
        return Problem("/".join(place), f"a {self.name} folder has no tensor for it")

    def is_head(self, name: str) -> bool:
        """Return whether a tensor belongs to a head."""
        return any(fnmatchcase(name, pattern) for pattern in self.heads)

    def is_other(self, name: str) -> bool:
        """Return whether a tensor, named as in the rules, is not a parameter of these networks."""
        return any(fnmatchcase(name, pattern) for pattern in (*self.others, *self.heads))


class Plan(NamedTuple):
    """The tensors to read, the parameters without a tensor, and the problems."""

    taken: tuple[Taken, ...]
    missing: tuple[Place, ...]
    problems: tuple[Problem, ...]


def plan(family: Family, shapes: Mapping[str, tuple[int, ...]], params: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Plan which tensor each parameter is read from; `params` are those of a network, or their specs."""
    names = {family.plain_name(name): name for name in shapes}
    needed, homeless = family.tensors_of(params)
    absent = {place: family.lacks(place) for place in homeless}
    fitting: list[Taken] = []
    problems: list[Problem] = []
    for key, taken in needed.items():
        if key not in names:
            absent |= {place: Problem("/".join(place), f"no tensor '{key}'") for place in taken.places}
            continue
        expected = [tuple(params[node][name].shape) for node, name in taken.places]
        whole = (*expected[0][:-1], sum(shape[-1] for shape in expected))
        whole = whole[::-1] if taken.transposed else whole
        if shapes[names[key]] == whole:
            fitting.append(taken._replace(key=names[key]))
        else:
            where = f"tensor '{names[key]}'"
            problems.append(Problem(where, f"expected {whole} for {_paths(taken.places)}, found {shapes[names[key]]}"))
    surplus = [name for key, name in names.items() if key not in needed and not family.is_other(key)]
    problems += [Problem(f"tensor '{name}'", "the network has no parameter for it") for name in surplus]
    missing = tuple((node, name) for node, leaves in params.items() for name in leaves if (node, name) in absent)
    return Plan(tuple(fitting), missing, (*(absent[place] for place in missing), *problems))


def parts_of(taken: Taken, widths: Sequence[int]) -> Callable[[np.ndarray], dict[Place, np.ndarray]]:
    """Return a function that splits a tensor into views of its parameters, which have these last axes."""
    borders = [sum(widths[:i]) for i in range(1, len(widths))]

    def cut(whole: np.ndarray) -> dict[Place, np.ndarray]:
        concatenated = whole.T if taken.transposed else whole
        return dict(zip(taken.places, np.split(concatenated, borders, -1), strict=True))

    return cut


def joined(taken: Taken, params: Mapping[str, Mapping[str, Any]]) -> np.ndarray:
    """Return a tensor made of its parameters: the inverse of `parts_of`."""
    whole = np.concatenate([np.asarray(params[node][name]) for node, name in taken.places], -1)
    return np.ascontiguousarray(whole.T if taken.transposed else whole)


def stacked(rules: Iterator[Rule] | Sequence[Rule], key: str, path: str) -> tuple[Rule, ...]:
    """Prefix the rules of one layer with the key and path of a stack, in which `{}` is the layer number."""
    return tuple(
        Rule(f"{key}.{rule.key}", tuple(f"{path}/{inner}" for inner in rule.paths), rule.transposed) for rule in rules
    )


def _paths(places: Sequence[Place]) -> str:
    return ", ".join(f"{node}/{name}" for node, name in places)
