"""Symptoms: rules about the facts of a program, with examples that test them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

from retrograd.base.finding import NOTHING, Evidence, Finding, Severity
from retrograd.base.registry import Registry
from retrograd.base.schema import parse
from retrograd.diagnosis.cases import dataset
from retrograd.diagnosis.program import Program
from retrograd.training.config.config import RunConfig
from retrograd.training.config.output_check import Mistake

Stage = Literal["static", "data", "probe", "run"]
STAGES: tuple[Stage, ...] = ("static", "data", "probe", "run")  # in order of cost
symptoms: Registry[Symptom] = Registry("symptom")
HEAD = [{"dense": {"units": 8, "activation": "relu"}}]  # the first layers of most examples


class Symptom(ABC):
    """A rule. `find` yields findings without judging the program: in a network that learns, an oddity is only a note.

    `code` is the symptom's code in the catalogue, `stage` what it needs: the configuration, the data, probes, or a run.
    A fault `by_chance` affects some seeds and not others: a few good runs do not rule it out. A fault `of_the_answers`
    makes them impossible to learn for any model: where references learn them, it is a note.
    """

    code: ClassVar[str]
    stage: ClassVar[Stage]
    by_chance: ClassVar[bool] = False
    of_the_answers: ClassVar[bool] = False

    @abstractmethod
    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the findings of this symptom."""

    def warned(self, program: Program, mistakes: Iterable[Mistake], *remedies: str) -> Iterator[Finding]:
        """Yield findings for mistakes that are also reported as warnings during training."""
        for mistake in mistakes:
            yield self.finding(
                program.graph.line(mistake.node),
                mistake.message,
                *mistake.evidence,
                remedies=remedies,
                severity=mistake.severity,
                confidence=mistake.confidence,
            )

    def finding(
        self,
        path: str,
        form: str,
        *evidence: Evidence,
        values: Mapping[str, Any] = NOTHING,
        remedies: tuple[str, ...] = (),
        severity: Severity = "risk",
        confidence: float = 0.5,
    ) -> Finding:
        """Return a finding of this symptom; its message is `form` filled with the values."""
        name = symptoms.name_of(type(self))
        return Finding.of(name, path, form, values, evidence, remedies, severity, self.code, confidence)


def is_effect(finding: Finding) -> bool:
    """Return whether a finding comes from the run, and so may be the effect of another fault."""
    return finding.name in symptoms and symptoms[finding.name].stage == "run"


def is_of_the_answers(finding: Finding) -> bool:
    """Return whether a finding means that no model could learn the answers."""
    return finding.name in symptoms and symptoms[finding.name].of_the_answers


class Setup(NamedTuple):
    """A program as plain data: the settings of its configuration, and the name and options of a generated data set."""

    data: str
    settings: dict[str, Any]
    options: dict[str, Any]

    def program(self) -> Program:
        """Return the program."""
        settings = {"optimizer": {"adam": 0.01}, "training": {"epochs": 20, "batch_size": 16}, **self.settings}
        return Program(parse(RunConfig, settings), dataset(self.data, **self.options))


def setup(data: str, options: dict[str, Any] | None = None, **settings: Any) -> Setup:
    """Return a program on one of the generated data sets."""
    return Setup(data, settings, options or {})


class Examples(NamedTuple):
    """A program in which a symptom must be found, and two in which it must not: an ordinary and a similar one."""

    sick: Setup
    healthy: Setup
    near_miss: Setup
