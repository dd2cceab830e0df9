"""The application: routes and forms of the answers, inside the gate."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from retrograd.base.errors import Problem, RetrogradError, RunInUseError, UsageError
from retrograd.studio.answers import Studio
from retrograd.studio.bench import BenchError
from retrograd.studio.gate import UPLOADS, Gate, TooLargeError
from retrograd.studio.shelf import GoneError
from retrograd.studio.static import ASSETS, Asset

Handler = Callable[[Request], Any]
RUN_VERBS = (
    "stop",
    "resume",
    "diagnose",
    "repair",
    "trace",
    "arrays",
    "cell",
    "plane",
    "form",
    "predict",
    "remedy",
    "short",
)


def application(studio: Studio, *, port: int, token: str) -> Gate:
    """Return the whole application, inside its gate."""
    routes = [Route(path, asset_route(asset)) for path, asset in ASSETS.items()]
    routes += [
        Route("/api/state", reading(studio.state)),
        Route("/api/runs", reading(studio.runs)),
        Route("/api/runs/{run}", reading(studio.run)),
        Route("/api/runs/{run}/events", reading(studio.events)),
        Route("/api/runs/{run}/weights", reading(studio.weights)),
        Route("/api/train", doing(studio.train), methods=["POST"]),
        Route("/api/explain", doing(studio.explain), methods=["POST"]),
        Route("/api/table", doing(studio.table), methods=["POST"]),
        Route("/api/jobs/{job:int}/cancel", doing(studio.cancel), methods=["POST"]),
        Route(UPLOADS, answering(studio.upload), methods=["POST"]),
    ]
    routes += [Route(f"/api/runs/{{run}}/{verb}", doing(getattr(studio, verb)), methods=["POST"]) for verb in RUN_VERBS]
    return Gate(Starlette(routes=routes), port=port, token=token, open_paths=frozenset(ASSETS))


def asset_route(asset: Asset) -> Handler:
    """Return a handler that answers with a file of the page."""

    async def serve(request: Request) -> Response:
        return Response(asset.content, media_type=asset.kind)

    return serve


def reading(handler: Handler) -> Handler:
    """Return a handler that answers a GET in a thread."""

    async def run(request: Request) -> Any:
        return await run_in_threadpool(handler, request)

    return answering(run)


def doing(handler: Callable[[Request, Mapping[str, Any]], Any]) -> Handler:
    """Return a handler that answers a POST with a JSON body in a thread."""

    async def run(request: Request) -> Any:
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            raise UsageError("the body is not JSON") from None
        if not isinstance(body, dict):
            raise UsageError("expected a JSON object")
        return await run_in_threadpool(handler, request, body)

    return answering(run)


def answering(handler: Callable[[Request], Awaitable[Any]]) -> Handler:
    """Return a handler that answers with JSON, or with the problems of a rejected request."""

    async def run(request: Request) -> Response:
        try:
            answer = await handler(request)
        except RetrogradError as error:
            return as_json({"problems": [problem._asdict() for problem in error.problems]}, status_of(error))
        except (KeyError, TypeError, ValueError) as error:
            return as_json({"problems": [Problem("", f"invalid request: {error!r}")._asdict()]}, 400)
        except TooLargeError:
            return as_json({"problems": [Problem("", "the request is too large")._asdict()]}, 413)
        except OSError as error:
            return as_json({"problems": [Problem("", str(error.strerror))._asdict()]}, 507)
        return answer if isinstance(answer, Response) else as_json(answer)

    return run


def status_of(error: RetrogradError) -> int:
    """Return the HTTP status for an error."""
    if isinstance(error, GoneError):
        return 404
    if isinstance(error, RunInUseError):
        return 409
    return 422 if isinstance(error, BenchError) else 400


def as_json(value: Any, status: int = 200) -> Response:
    """Return a response with a value as JSON; dataclasses become objects, NaN and infinities strings."""
    return Response(json.dumps(plainly(value), allow_nan=False).encode(), status, media_type="application/json")


def plainly(value: Any) -> Any:
    """Return a value as plain JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plainly(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plainly(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
