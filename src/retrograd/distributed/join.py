"""How a process joins the others of its run, and how it leaves: with all of them, by one exit code."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from retrograd.base.errors import INTERNAL, INTERRUPTED, ConfigError, ResourceError, RetrogradError
from retrograd.distributed.layout import Layout, mesh_of
from retrograd.distributed.line import Line, hello, leave, reach, tell
from retrograd.distributed.seat import RANK, is_launched, seat_of
from retrograd.distributed.settings import AXES, Distributed
from retrograd.distributed.team import ALONE, Crew, Team
from retrograd.distributed.words import END, NEVER, RESOURCE

MOMENT = 2.0  # seconds that who fails early looks for the hub

_line: Line | None = None
_has_tried = False  # whether this process has looked for the others
_is_over = False  # whether training has ended for all, so that nobody waits for this process


def join(settings: Distributed | None) -> Team:
    """Return the team of this process, once all have come; a process joins the others once.

    Without the section in a configuration, and unless it was launched as one of several, it is alone.

    Raises:  ConfigError, ResourceError naming what is missing
    """
    global _line, _is_over, _has_tried
    if settings is None and not is_launched():
        return ALONE
    settings = settings or Distributed()
    _is_over = False
    if _line is None and (seat := seat_of(settings)) is not None:
        refuse_late()
        _has_tried = True
        _line = Line(seat, settings.timeout)
        atexit.register(_leave)
        connect(_line, settings.timeout)
    layout = Layout(mesh_of(settings.mesh), settings.shard)
    if _line is None:
        return Crew(layout) if layout.mesh.size > 1 else ALONE
    with quiet_stdout():
        first_collective(layout)
    return Crew(layout, _line)


def refuse_late() -> None:
    """Raise ConfigError where JAX has computed something already, and so knows of this process alone."""
    from jax._src.xla_bridge import backends_are_initialized

    if backends_are_initialized():
        message = "JAX has computed something before the processes came together"
        raise ConfigError(message, where="distributed", cure="train first, before anything else uses jax")


def connect(line: Line, timeout: float) -> None:
    """Let JAX's processes find one another where the hub has opened a place for it."""
    from jax._src.distributed import global_state
    from jaxlib import _jax

    seat = line.seat
    if seat.local_rank is not None:
        visible = os.environ.get("JAX_LOCAL_DEVICE_IDS", str(seat.local_rank))
        jax.config.update("jax_cuda_visible_devices", visible)
        jax.config.update("jax_rocm_visible_devices", visible)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    state: Any = global_state
    state.client = _jax.get_distributed_runtime_client(
        line.service, seat.rank, init_timeout=int(timeout), heartbeat_timeout=NEVER, use_compression=True,
        shutdown_on_destruction=False,
    )  # fmt: skip
    state.client.connect()
    state.process_id, state.num_processes, state.coordinator_address = seat.rank, seat.size, line.service


def first_collective(layout: Layout) -> None:
    """Add something up along each axis of the mesh: what is wrong with the network shows now, and not in a step."""
    specs = [PartitionSpec(axis) for axis in AXES if layout.mesh.shape[axis] > 1] + [PartitionSpec(AXES)]
    ones = np.ones(layout.mesh.size, np.float32)
    arrays = [layout.placed(ones, NamedSharding(layout.mesh, spec)) for spec in specs]
    sums = jax.jit(lambda arrays: [array.sum() for array in arrays], out_shardings=layout.whole)(arrays)
    if any(float(total) != layout.mesh.size for total in sums):
        raise ResourceError("the devices do not add up what each of them has", where="distributed")


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Keep from standard output what libraries print there while they connect."""
    sys.stdout.flush()
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)


@contextlib.contextmanager
def taking_part() -> Iterator[None]:
    """End all processes, with one message and one exit code, where this one fails in here."""
    try:
        yield
    except BaseException as error:
        if _line is not None and not _is_over:
            _fail(_line, error)
        if not _has_tried and is_launched() and isinstance(error, RetrogradError) and os.environ.get(RANK) != "0":
            _fail_early(error)
        raise


def over() -> None:
    """Say that training has ended for all: a process may leave now."""
    global _is_over
    _is_over = True


def _fail_early(error: RetrogradError) -> NoReturn:
    """Tell the hub, if there is one, what keeps this process from coming; else rank 0 has met with the same."""
    with contextlib.suppress(RetrogradError, OSError):
        if (seat := seat_of(Distributed())) is not None:
            tell(reach(seat, MOMENT), hello(seat), str(error), error.exit_code)
    leave(error.exit_code)


def _fail(line: Line, error: BaseException) -> None:
    if isinstance(error, RetrogradError):
        line.fail(str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        line.fail("interrupted", INTERRUPTED)
    if isinstance(error, SystemExit):
        line.fail("ended", error.code if isinstance(error.code, int) else INTERNAL)
    line.wait()  # a neighbour that is gone is an error of JAX here, and has a name at the hub
    if os.environ.get("RETROGRAD_TRACEBACK"):
        traceback.print_exception(error)
    text = str(error).partition("\n")[0]
    line.fail(f"internal error: {type(error).__name__}: {text}; RETROGRAD_TRACEBACK=1 shows where", INTERNAL)


def _leave() -> None:
    """Leave together with all others, at the end of the process."""
    if _line is None:
        return
    if not _is_over:
        leave(RESOURCE)
    from jax._src.distributed import global_state

    state: Any = global_state
    _line.ask(END, "same")
    state.client.shutdown()
    state.client = None
    _line.close()
