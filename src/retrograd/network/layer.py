"""The layer contract: a frozen description with forward and backward, and what these pass to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import ConfigError, DataTypeError, ShapeError, UsageError
from retrograd.base.keys import fold_path
from retrograd.base.quantities import PositiveInt
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings, unwritten
from retrograd.network.equations import Equations as Equations
from retrograd.network.equations import without_bias, without_scale

Spec = jax.ShapeDtypeStruct
Params = dict[str, Array]
State = dict[str, Array]
Output = Any  # an array, or a dict of arrays for a layer with several outputs

layers: Registry[Layer] = Registry("layer", own="load your own with --layers FILE.py")

Units = Annotated[
    PositiveInt | Literal["classes", "targets", "features"],
    Expect("a positive integer, or classes, targets, features"),
]
Vocabulary = Annotated[
    PositiveInt | str,
    Expect("a positive integer (or the name of an embedded column, whose size the data define)"),
]
FROM_DATA = (Units, Vocabulary)  # annotations of fields that may name a size defined by the data


ACTIVATION_BEHIND = Words("the activation after it, as a separate node", why="none: the sum itself")


@jax.tree_util.register_static
@dataclass(frozen=True)
class Static:
    """A pytree without leaves: carries decisions made while tracing (mode, shape, formula) across jit in a tape."""

    value: Any


class Init(NamedTuple):
    """A layer's initial parameters and state, by name."""

    params: Params = {}
    state: State = {}


class Forward(NamedTuple):
    """The output, the tape for backward, and the layer's new state."""

    y: Output
    tape: Any = ()
    state: State = {}


class Backward(NamedTuple):
    """One delta per input of the layer (None if it has none), and the gradient of each parameter."""

    inputs: tuple[Any, ...]
    grads: Params = {}


Result = TypeVar("Result", Forward, Backward)


def expect(kind: type[Result], returned: Any) -> Result:
    """Return a layer's result after checking its type."""
    if not isinstance(returned, kind):
        raise DataTypeError(f"returned {type(returned).__name__}, expected {kind.__name__}(...)")
    return returned


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Context:
    """How a pass runs: training or not (static), the random key of this step at this path, and the step number.

    The step number is an integer unknown to the compiler; recomputed groups of nodes need one.
    """

    train: bool = field(default=False, metadata={"static": True})
    key: Array | None = None
    path: str = field(default="", metadata={"static": True})
    step: Array | None = None

    def at(self, path: str) -> Context:
        """Return the context of one node."""
        return replace(self, path=path)

    def random_key(self) -> Array:
        """Return this step's key for this node, folded only on demand."""
        if self.key is None:
            raise UsageError(f"{self.path or 'the layer'} draws random numbers", cure="pass a key: Context(key=...)")
        return fold_path(self.key, self.path) if self.path else self.key


@dataclass(frozen=True)
class Layer(Settings):
    """A frozen, hashable description of one operation; it holds no arrays.

    A subclass defines `forward` and, below it, `backward`: its adjoint, which sees only params, tape and dy. Without
    a `backward`, a layer is differentiated with `jax.vjp`.
    """

    equations: ClassVar[Equations]
    mixes_batch: ClassVar[bool] = False  # an example's output depends on the rest of the batch, or on its position
    keeps_scale: ClassVar[bool] = False  # initializers look through it to the next activation
    inputs_in_use: ClassVar[int | None] = None  # number of leading inputs also needed outside training; None: all
    multiplies: ClassVar[bool] = False  # its work is matrix products, which bfloat16 makes cheaper

    def __init_subclass__(cls) -> None:
        """Use the equations as the docstring of a backward without one."""
        super().__init_subclass__()
        backward, equations = vars(cls).get("backward"), getattr(cls, "equations", None)
        if backward is not None and not backward.__doc__ and equations is not None:
            backward.__doc__ = f"{'; '.join(equations.backward)}."

    def formulas(self) -> Equations | None:
        """Return the equations under these settings, or None if the layer declares none."""
        equations = getattr(self, "equations", None)
        if equations is not None and not getattr(self, "scale", True):
            equations = without_scale(equations)
        return without_bias(equations) if equations is not None and not getattr(self, "bias", True) else equations

    def init(self, key: Array, *inputs: Any) -> Init:
        """Return initial parameters and state for inputs of these shapes (Specs)."""
        return Init()

    def forward(self, params: Params, state: State, ctx: Context, *inputs: Any) -> Forward:
        """Return the output, the tape and the new state."""
        raise unwritten(self, "forward(self, params, state, ctx, x)", "which returns Forward(y, tape)")

    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """Return the deltas of the inputs and the gradients of the parameters."""
        raise unwritten(self, "backward(self, params, tape, dy)", "or let `adjoint` derive it by jax.vjp")

    @property
    def wrapped(self) -> Layer | None:
        """The inner layer, if this one only produces its weights."""
        return None

    def having(self, **settings: Any) -> Layer:
        """Return the layer, or the parametrisation of one, with other settings of the layer."""
        if self.wrapped is None:
            return replace(self, **settings)
        return replace(self, layer=self.wrapped.having(**settings))  # type: ignore[call-arg]

    def reading(self, names: Sequence[str]) -> Layer:
        """Return the layer for inputs with these names, in this order."""
        raise ConfigError(f"{self.kind} takes its inputs by order", where="inputs", cure="give them as a list")

    @property
    def is_stack(self) -> bool:
        """Whether there are several `parts`."""
        return type(self).parts is not Layer.parts and len(self.parts()) > 1

    def parts(self) -> tuple[Layer, ...]:
        """Return the sequence of layers that it expands to in a network: itself, unless it is a stack."""
        return (self,)

    @property
    def surrogate(self) -> str:
        """Why backward is deliberately not the adjoint of forward, if so; forward then marks where by stop_gradient."""
        return ""

    @property
    def kind(self) -> str:
        """The name under which the layer is registered."""
        return getattr(self, "registered_name", type(self).__name__)

    @property
    def derivation(self) -> str:
        """`written` if the layer defines its own backward, else `jax.vjp`."""
        return "jax.vjp" if type(self).backward is Layer.backward else "written"


@dataclass(frozen=True)
class Activation(Layer):
    """A function applied to each element, or along an axis like softmax.

    `initializer` names the initial weights that preserve the scale of signals through this activation; `steepest` is
    the largest magnitude of its derivative for all settings, if known.
    """

    initializer: ClassVar[str] = "glorot_uniform"
    steepest: ClassVar[float | None] = None
    by_element: ClassVar[bool] = True  # each element of y depends only on that of x


# ------------------------------------------------------------------------------------------------ examples of inputs


class Input(NamedTuple):
    """One input of an example: its shape (batch first) and the kind of its values.

    kind: `real`, `positive`, `probabilities` (rows sum to 1), `labels` (integers below `classes`), `binary` (0 or 1 as
    numbers), `signs` (-1 or 1), `mask` (true or false, at least one true in a row).
    """

    shape: tuple[int, ...]
    kind: str = "real"
    classes: int = 0

    @property
    def differentiable(self) -> bool:
        """Whether the contract requires a delta for this input."""
        return self.kind in ("real", "positive", "probabilities")


class Example(NamedTuple):
    """Settings of a layer, and valid inputs for it: drives contract test, round trip and manual."""

    settings: dict[str, Any]
    inputs: tuple[Input, ...]


def examples(*cases: tuple[dict[str, Any], list[Any]]) -> tuple[Example, ...]:
    """Return examples from (settings, inputs) pairs; a bare shape is an input of real numbers."""
    return tuple(
        Example(settings, tuple(i if isinstance(i, Input) else Input(tuple(i)) for i in inputs))
        for settings, inputs in cases
    )


# --------------------------------------------------------------------------------------------- small shared arithmetic


def rows(x: Array) -> Array:
    """Return [..., features] as a matrix [rows, features]."""
    return x.reshape(-1, x.shape[-1])


def expect_features(x: Array, features: int, what: str = "input") -> None:
    """Raise unless x holds real numbers and its last axis has this length."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise DataTypeError(f"{what}: expected real numbers, got {x.dtype.name}", cure="put an embedding before it")
    if x.ndim < 2 or x.shape[-1] != features:
        raise ShapeError(f"{what}: expected (batch, ..., {features}), got {tuple(x.shape)}: it expects {features} "
                         f"features and gets {x.shape[-1] if x.ndim else 'a scalar'}")  # fmt: skip


def product(x: Array, weight: Array) -> Array:
    """Return x W in the precision of x; for bfloat16 the sums are computed in float32."""
    if x.dtype != jnp.bfloat16:
        return x @ weight
    return jnp.matmul(x, weight, preferred_element_type=jnp.float32).astype(x.dtype)
