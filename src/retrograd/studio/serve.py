"""The server of the studio: a local address, a token, and opening the browser."""

from __future__ import annotations

import atexit
import contextlib
import html
import os
import secrets
import socket
import stat
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import uvicorn

from retrograd.base.errors import ResourceError, UsageError
from retrograd.record.files import make_folder, refusal
from retrograd.studio.answers import OWN, Studio
from retrograd.studio.bench import Bench
from retrograd.studio.jobs import Jobs
from retrograd.studio.routes import application

HOST, PORT = "127.0.0.1", 8471
LAST_PORT = 65535
NEXT_PORTS = 20  # to try if the usual one is taken
TOKEN_BYTES = 32
WAITING = 64  # connections queued by the system


class Address(NamedTuple):
    """The address of the studio, and the token that opens it."""

    port: int
    token: str

    @property
    def url(self) -> str:
        """The address without the token."""
        return f"http://{HOST}:{self.port}/"

    @property
    def full(self) -> str:
        """The address with the token in its fragment, which browsers do not send."""
        return f"{self.url}#token={self.token}"


def serve(
    root: Path, data: Path, *, port: int | None, jobs: int, layers: tuple[Path, ...], started: Callable[[Address], None]
) -> None:
    """Serve a folder of runs until an interrupt; `started` is called once connections are accepted."""
    make_folder(root)
    with taken(port) as listener:
        address = Address(listener.getsockname()[1], stored_token(root / OWN))
        bench = Bench(layers)
        options = [part for path in layers for part in ("--layers", str(path))]
        studio = Studio(root, data, bench, Jobs(root / OWN / "jobs", jobs, options))
        app = application(studio, port=address.port, token=address.token)
        config = uvicorn.Config(
            app, log_level="error", access_log=False, lifespan="off", server_header=False, http="h11", loop="asyncio",
            ws="none", timeout_graceful_shutdown=2,
        )  # fmt: skip
        listener.listen(WAITING)
        started(address)
        bench.warm()
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            bench.close()


def taken(port: int | None) -> socket.socket:
    """Return a socket on the local address, at a given port or, without one, at the usual port or another.

    Raises:  UsageError if the port is taken
    """
    if port is not None and port > LAST_PORT:
        raise UsageError(f"expected at most {LAST_PORT}, found {port}", where="--port")
    tried = [port] if port is not None else [*range(PORT, PORT + NEXT_PORTS), 0]
    for number in tried:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, number))
            listener.listen()  # before this, another process could take the same port
        except OSError:
            listener.close()
        else:
            return listener
    raise UsageError("the port is taken", where=f"--port {port}", cure="choose another one, or remove --port")


def stored_token(folder: Path) -> str:
    """Return the token of a folder of runs, created on the first start, so that open pages survive restarts.

    Raises:  ResourceError if others could have written or read it
    """
    make_folder(folder)
    path = folder / "token"
    try:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(secrets.token_urlsafe(TOKEN_BYTES))
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise refusal(error, path) from None
    with os.fdopen(descriptor) as stream:
        status = os.fstat(stream.fileno())
        token = stream.read(200)
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077 or len(token) < TOKEN_BYTES:
        message = "the file is not a token that only you can read"
        raise ResourceError(message, where=str(path), cure="delete it and start again")
    return token


def open_browser(address: Address) -> None:
    """Open the browser with a file that only this user can read, as other users can see process arguments."""
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    descriptor, name = tempfile.mkstemp(prefix="retrograd-studio-", suffix=".html", dir=folder)  # of mode 0600
    with os.fdopen(descriptor, "w") as stream:
        url = html.escape(address.full)
        stream.write(f'<!doctype html><meta http-equiv="refresh" content="0;url={url}"><a href="{url}">studio</a>')
    atexit.register(Path(name).unlink, missing_ok=True)
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(f"file://{name}")
