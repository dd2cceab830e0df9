"""The gate around the whole studio: which requests are accepted, and what a browser may do with the answers.

Any page open in the same browser can send requests to a local port, any user of the machine can connect to it, and an
attacker's domain name can resolve to 127.0.0.1. So a request is rejected unless it is for this exact address (Host),
from this exact page (Origin), and has the token that only the page's address contained.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_JSON_BYTES = 2**20
MAX_UPLOAD_BYTES = 2**26
UPLOADS = "/api/uploads"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """Wraps an application; `open_paths` are files of the page itself, which contain nothing secret."""

    def __init__(self, app: ASGIApp, *, port: int, token: str, open_paths: Collection[str]) -> None:
        self.app, self.token, self.open_paths = app, token.encode(), open_paths
        self.hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}
        self.origins = {b"http://" + host for host in self.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close"})
            return
        refusal = self.refusal(scope)
        if refusal is not None:
            await answer(send, *refusal)
            return
        limit = MAX_UPLOAD_BYTES if scope["path"] == UPLOADS else MAX_JSON_BYTES
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await answer(send, 413, f"more than {limit:,} bytes")
            return
        await self.app(scope, limited(receive, limit), guarded(send))

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and reason if a request is rejected; None if it may pass."""
        values: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            values.setdefault(name.lower(), []).append(value)
        host, origin = values.get(b"host", []), values.get(b"origin", [])
        if len(host) != 1 or host[0] not in self.hosts:
            return 403, "the Host is not this server's address: open the address that it printed"
        if origin and (len(origin) != 1 or origin[0] not in self.origins):
            return 403, "the request does not come from the studio's page"
        if values.get(b"sec-fetch-site", [b"none"])[0] not in (b"none", b"same-origin"):
            return 403, "the request does not come from the studio's page"
        if scope["path"] in self.open_paths and scope["method"] in ("GET", "HEAD"):
            return None
        given = values.get(b"authorization", [])
        if len(given) != 1 or not hmac.compare_digest(given[0], b"Bearer " + self.token):
            return 401, "the token is missing or wrong: open the address that the studio printed when it started"
        return None


class TooLargeError(Exception):
    """A request body that exceeds its limit."""


def limited(receive: Receive, limit: int) -> Receive:
    """Return a `receive` that limits the size of the body."""
    left = limit

    async def next_part() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise TooLargeError
        return message

    return next_part


def guarded(send: Send) -> Send:
    """Return a `send` that adds the headers of the gate."""

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name.encode() for name in HEADERS}
            others = [pair for pair in message.get("headers", []) if pair[0].lower() not in names]
            message["headers"] = [*others, *((name.encode(), value.encode()) for name, value in HEADERS.items())]
        await send(message)

    return send_on


async def answer(send: Send, status: int, message: str) -> None:
    """Send a rejection."""
    body = json.dumps({"problems": [{"where": "", "message": message, "cure": ""}]}).encode()
    headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await guarded(send)({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
