"""Which of several processes this one is, according to `retrograd launch`, Slurm, MPI or Kubernetes."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

from retrograd.base.errors import ConfigError, ResourceError
from retrograd.distributed.settings import Distributed

COORDINATOR, PROCESSES, RANK = "RETROGRAD_COORDINATOR", "RETROGRAD_PROCESSES", "RETROGRAD_RANK"
LOCAL_RANK = "RETROGRAD_LOCAL_RANK"
HOSTS = ("SLURM_STEP_NUM_NODES", "SLURM_NNODES")  # number of machines that Slurm uses
LOCAL_COUNT = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS")  # number of processes that MPI started here
PORT_CURE = "set distributed.coordinator to HOST:PORT"


class Seat(NamedTuple):
    """A process among several: their meeting point, their number, its rank, and its rank on its host."""

    host: str
    port: int
    size: int
    rank: int
    local_rank: int | None = None  # set if each process has one device

    @property
    def address(self) -> str:
        """Where the processes meet."""
        return f"{self.host}:{self.port}"


def is_launched() -> bool:
    """Return whether `retrograd launch`, or a script like it, started this process as one of several."""
    return RANK in os.environ


def seat_of(settings: Distributed) -> Seat | None:
    """Return this process's seat; None if it is alone.

    Raises:  ConfigError if the configured processes were not started; ResourceError if they could not meet
    """
    launched = _launched(os.environ) if is_launched() else _detected(settings)
    if launched is None:
        if settings.processes not in ("auto", 1):
            message = f"{settings.processes} processes are configured, but this one was not started as one of several"
            cure = f"use retrograd launch -n {settings.processes} -- train ..., or srun, mpirun, Kubernetes"
            raise ConfigError(message, where="distributed.processes", cure=cure)
        return None
    coordinator, size, rank, local = launched
    if settings.processes not in ("auto", size):
        message = f"{settings.processes} processes are configured, but {size} were started"
        raise ConfigError(message, where="distributed.processes", cure="use auto for the number started")
    if size == 1:
        return None
    host, _, port = (settings.coordinator or coordinator).rpartition(":")
    seat = Seat(host, int(port), size, rank, local)
    is_local = LOCAL_RANK in os.environ  # `retrograd launch` started all of them here, even inside a Slurm job
    refuse_unreachable(seat, not is_local and are_on_several_hosts(os.environ, size))
    return seat


def _launched(environ: Mapping[str, str]) -> tuple[str, int, int, int | None]:
    try:
        size, rank = int(environ[PROCESSES]), int(environ[RANK])
        local = int(environ[LOCAL_RANK]) if LOCAL_RANK in environ else None
        coordinator = environ[COORDINATOR]
        host, _, port = coordinator.rpartition(":")
        if not (0 <= rank < size and host and 0 < int(port) < 65536):
            raise ValueError
    except (KeyError, ValueError):
        variables = ", ".join(f"{name}={environ.get(name, '')}" for name in (COORDINATOR, PROCESSES, RANK))
        cure = "expected HOST:PORT, the number of processes, and the rank of this one, from 0"
        raise ConfigError(f"found {variables}", where="environment", cure=cure) from None
    return coordinator, size, rank, local


def _detected(settings: Distributed) -> tuple[str, int, int, int | None] | None:
    """Return the processes that JAX detects under Slurm, Open MPI, Kubernetes or on a TPU."""
    from jax._src.clusters import ClusterEnv

    kinds: list[Any] = [kind for kind in ClusterEnv._cluster_types if not kind.opt_in_only_method]
    cluster = next((kind for kind in kinds if kind.is_env_present()), None)
    if cluster is None or cluster.get_process_count() == 1:
        return None
    port = os.environ.get("JAX_COORDINATOR_PORT")
    coordinator = settings.coordinator or cluster.get_coordinator_address(int(settings.timeout), port)
    return coordinator, cluster.get_process_count(), cluster.get_process_id(), cluster.get_local_process_id()


def are_on_several_hosts(environ: Mapping[str, str], size: int) -> bool:
    """Return whether the launcher's variables show that some processes run on other machines."""
    hosts = next((int(environ[name]) for name in HOSTS if environ.get(name, "").isdigit()), 1)
    here = next((int(environ[name]) for name in LOCAL_COUNT if environ.get(name, "").isdigit()), size)
    return hosts > 1 or here < size


def refuse_unreachable(seat: Seat, several_hosts: bool) -> None:
    """Raise ResourceError if the meeting point has no address, or one that other machines cannot reach."""
    known = addresses(seat)
    if several_hosts and all(is_loopback(address) for address in known):
        message = f"{seat.host} resolves to {', '.join(known)} here, which other machines cannot reach"
        cure = "give the address at which they reach the machine of rank 0"
        raise ResourceError(message, where="distributed.coordinator", cure=cure)


def addresses(seat: Seat) -> list[str]:
    """Return the addresses of the host where the processes meet.

    Raises:  ResourceError if it has none
    """
    try:
        return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(seat.host, seat.port, type=socket.SOCK_STREAM)})
    except OSError as error:
        message = f"the coordinator's host name '{seat.host}' cannot be resolved: {error.strerror or error}"
        raise ResourceError(message, where="distributed.coordinator", cure=PORT_CURE) from None


def is_loopback(address: str) -> bool:
    """Return whether an address refers to this machine itself."""
    return address == "::1" or address.startswith("127.")
