"""What was seen of a loop: plain numbers in bounded memory, from which the faults are told."""

from __future__ import annotations

import weakref
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import nn

from retrograd.interop.torch.look.functions import Functions
from retrograd.interop.torch.look.later import Later
from retrograd.interop.torch.look.leaks import Leak
from retrograd.interop.torch.look.rows import Rows
from retrograd.interop.torch.look.series import Series
from retrograd.interop.torch.place import Place, here
from retrograd.interop.torch.scaling import Scaling

RECENT = 64  # looks kept of every kind


class LossCall(NamedTuple):
    """One call of a loss function: shapes, and what the numbers that it got are."""

    kind: str
    place: Place | None
    prediction: tuple[int, ...]
    target: tuple[int, ...]
    dtype: str
    target_dtype: str
    facts: frozenset[str]  # probabilities, log_probabilities, columns_sum_to_one, unit_interval, summed
    lowest: float  # of what was given as prediction
    value: float


class Update(NamedTuple):
    """What one update did, on a sample of every parameter."""

    along: float  # cosine between gradient and change; a descent has a negative one
    ratios: dict[str, float]  # rms of the change / rms of the parameter


class Reshaped(NamedTuple):
    """A view or reshape that keeps a dimension's size and yet moves it."""

    place: Place
    before: tuple[int, ...]
    after: tuple[int, ...]


class Activity(NamedTuple):
    """The units of one activation in one look."""

    name: str
    kind: str
    dead: Any  # booleans, one a unit
    flat: Any  # booleans: the mean derivative is under 5 % of its maximum


class Gradients(NamedTuple):
    """Gradients after one backward pass."""

    norm: float
    relative: dict[str, float]  # of every weight: length of its gradient / length of the weight
    nonzero: frozenset[str]
    nonfinite: tuple[str, ...]


class Growth(NamedTuple):
    """The gradient of one parameter after a backward pass."""

    turns: int  # backward passes of the same line that it holds
    ratio: float  # its length / that of what this pass brought
    error: float  # gradient - (what was left + what this pass brought), relative


@dataclass
class Journal:
    """Counts, and details of the looks."""

    model: nn.Module
    frozen: tuple[str, ...] = ()
    at_start: dict[str, int] = field(default_factory=dict)  # identities of the parameters
    moody: tuple[str, ...] = ()  # modules that act differently in and out of training

    turns: int = 0  # all backward passes; the other counts are of those that are looked at
    judged_steps: int = 0  # whose gradients are known to be fresh or stale
    forwards: int = 0
    backwards: int = 0  # with a forward of their own
    steps: int = 0
    training_forwards: int = 0  # in training mode, with gradients
    per_backward: Counter[int] = field(default_factory=Counter)  # forwards with gradients before each backward
    per_step: Counter[int] = field(default_factory=Counter)  # backwards before each step
    judged_passes: int = 0  # training passes whose mode is known
    eval_steps: int = 0  # of them with the whole model in evaluation mode
    parts_in_eval: int = 0  # of them with its changing modules in evaluation mode, though the model's own flag is not
    sampled: int = 0  # forwards in training mode, without gradients, of the same inputs as the one before
    stale_steps: int = 0  # steps with gradients left from the step before
    manual_updates: int = 0
    blind: int = 0  # forwards in training mode, without gradients
    blind_runs: int = 0
    blind_prints: Counter[int] = field(default_factory=Counter)
    unguarded: int = 0  # forwards in training mode with gradients that no backward uses
    losses: Series = field(default_factory=Series)
    rates: Series = field(default_factory=Series)
    top_rate: float = 0.0
    read_rates: int = 0
    zero_rates: int = 0  # of them with 0 in all groups
    low_from: int = -1  # the turn from which the rate stays under a thousandth of its maximum
    rate_turns: int = 0  # times that the rate climbs from nearly nothing, after it was there
    scaling: Scaling = field(default_factory=Scaling)  # of the losses
    optimizers: int = 0  # that step this model
    others: int = 0  # that step another
    alternations: Counter[frozenset[int]] = field(default_factory=Counter)  # of two optimizers on shared parameters
    held: set[int] = field(default_factory=set)  # identities of all parameters of the optimizers that step
    apart: bool = False  # two optimizers of parts that share nothing take turns
    shared: set[int] = field(default_factory=set)  # parameters that both hold
    foreign_shapes: list[tuple[int, ...]] = field(default_factory=list)
    fresh_steps: int = 0  # steps that are the first of their optimizer
    stateful: bool = False
    optimizer_kind: str = ""
    stepped: set[int] = field(default_factory=set)  # identities of the parameters that optimizers hold
    foreign: int = 0  # parameters of those optimizers that the model does not hold

    # looks
    looks: int = 0
    alive: int = 0  # graphs of passes long done that are kept, at most
    tokens: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)
    places: dict[str, Place] = field(default_factory=dict)
    discards: list[tuple[int, int]] = field(default_factory=list)  # for each step: backward passes gone, and used
    gradients_read: bool = False  # somebody copied gradients before the step
    clips: list[tuple[Place, str]] = field(default_factory=list)  # calls of clipping, and on what
    clip_scale: float = 0.0  # the factor in gradients that were clipped
    floors: list[bool] = field(default_factory=list)  # whether what was differentiated cannot fall below 0
    negated: list[bool] = field(default_factory=list)  # whether it is the negative of a loss
    targets: Later[tuple[Place | None, str, str, float, float]] = field(default_factory=Later)  # loss, domain, range
    relu_logits: list[tuple[Place | None, Any]] = field(default_factory=list)  # and which units were dead
    leaks: list[Leak] = field(default_factory=list)
    functions: Functions = field(default_factory=Functions)
    hidden: dict[str, list[Any]] = field(default_factory=dict)  # parameters in plain lists of the model
    norms: Later[tuple[str, float, float]] = field(default_factory=Later)  # batch norm: path, share that lags, momentum
    loss_calls: Later[LossCall] = field(default_factory=Later)
    answers: int = 0  # calls of losses on as many numbers as the model puts out, not on what another made of them
    parts: int = 0  # calls of losses for one backward pass, at most
    slopes: Later[tuple[str, float]] = field(
        default_factory=lambda: Later(32)
    )  # what a loss counts in what is differentiated: (kind, weight)
    broadcasts: deque[tuple[Place | None, tuple[int, ...], tuple[int, ...]]] = field(
        default_factory=lambda: deque(maxlen=RECENT)
    )
    reshapes: dict[tuple[Any, ...], Reshaped] = field(default_factory=dict)
    copies: list[Place] = field(default_factory=list)  # arithmetic on parameters that changes none
    late_changes: list[Place] = field(default_factory=list)  # of gradients, between step and next backward
    looked_steps: int = 0
    updates: Later[Update] = field(default_factory=Later)
    gradients: Later[Gradients] = field(default_factory=Later)
    activities: Later[list[Activity]] = field(default_factory=Later)
    had_gradient: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    single_row_norms: Counter[str] = field(default_factory=Counter)
    growth: Later[Growth] = field(default_factory=Later)
    kept: Later[float] = field(default_factory=Later)  # length of the gradient that steps / that backward left
    unequal: Later[float] = field(default_factory=Later)  # spread of the outputs over the rows
    input_range: tuple[float, float] = (0.0, 0.0)
    input_nonfinite: bool = False
    grainy: tuple[float, float] | None = None  # roughness of images as given, and with the channels moved
    rows: Rows = field(default_factory=Rows)
    changed: set[str] = field(default_factory=set)  # parameters that differ from the start
    first_bad: str = ""  # what was not finite first
    failure: str = ""  # the words of the error that ended the loop
    failed_call: LossCall | None = None
    trouble: list[str] = field(default_factory=list)  # errors of the doctor itself

    def note(self, event: str, again: bool = False) -> None:
        """Note the user's line at which something happens; the first, or each time anew."""
        if again or event not in self.places:
            place = here()
            if place is not None:
                self.places[event] = place

    @property
    def usual(self) -> int:
        """How many forwards with gradients belong to one backward."""
        return self.per_backward.most_common(1)[0][0] if self.per_backward else 1

    @property
    def accumulated(self) -> int:
        """How many backwards belong to one step."""
        return self.per_step.most_common(1)[0][0] if self.per_step else 1
