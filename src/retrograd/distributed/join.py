"""How a process joins the others of its run, and how they all leave together with one exit code."""

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

MOMENT = 2.0  # seconds for which a process that fails early tries to reach the hub

_line: Line | None = None
_has_tried = False  # whether this process has tried to join the others
_is_over = False  # whether training has ended for all, so that no process waits for this one


def join(settings: Distributed | None) -> Team:
    """Return the team of this process once all have joined; later calls reuse the connection.

    Without a `distributed` section, and unless launched as one of several, the process is alone.

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
    """Raise ConfigError if JAX has already been used, and so was initialised for this process alone."""
    from jax._src.xla_bridge import backends_are_initialized

    if backends_are_initialized():
        message = "JAX was used before the processes were connected"
        raise ConfigError(message, where="distributed", cure="start training before anything else uses jax")


def connect(line: Line, timeout: float) -> None:
    """Connect JAX to the coordination service that the hub has started."""
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
    """Compute a sum along each axis of the mesh, so that network problems show now rather than in a step."""
    specs = [PartitionSpec(axis) for axis in AXES if layout.mesh.shape[axis] > 1] + [PartitionSpec(AXES)]
    ones = np.ones(layout.mesh.size, np.float32)
    arrays = [layout.placed(ones, NamedSharding(layout.mesh, spec)) for spec in specs]
    sums = jax.jit(lambda arrays: [array.sum() for array in arrays], out_shardings=layout.whole)(arrays)
    if any(float(total) != layout.mesh.size for total in sums):
        raise ResourceError("a test sum over all devices gave a wrong result", where="distributed")


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Suppress what libraries print to standard output while they connect."""
    sys.stdout.flush()
    stdout, devnull = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(devnull)


@contextlib.contextmanager
def taking_part() -> Iterator[None]:
    """End all processes, with one message and one exit code, if this one fails inside."""
    try:
        yield
    except BaseException as error:
        if _line is not None and not _is_over:
            _fail(_line, error)
        if not _has_tried and is_launched() and isinstance(error, RetrogradError) and os.environ.get(RANK) != "0":
            _fail_early(error)
        raise


def over() -> None:
    """Record that training has ended for all, so that a process may leave."""
    global _is_over
    _is_over = True


def _fail_early(error: RetrogradError) -> NoReturn:
    """Report to the hub, if there is one, why this process cannot join; otherwise rank 0 has met the same problem."""
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
    line.wait()  # the loss of another process appears here as a JAX error; the hub can name the process
    if os.environ.get("RETROGRAD_TRACEBACK"):
        traceback.print_exception(error)
    text = str(error).partition("\n")[0]
    line.fail(
        f"internal error: {type(error).__name__}: {text}; set RETROGRAD_TRACEBACK=1 to see the traceback", INTERNAL
    )


def _leave() -> None:
    """Leave together with all other processes, at the end of the program."""
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
