from __future__ import annotations

import pytest

from retrograd.studio.gate import MAX_JSON_BYTES
from retrograd.studio.static import ASSETS
from tests.studio.conftest import PORT, TOKEN


@pytest.mark.parametrize(
    "host", [None, "localhost", "evil.example:8471", "127.0.0.1:8472", f"127.0.0.1:{PORT}.evil.example"]
)
def test_another_host_is_refused_even_with_the_token(client, host):
    assert client.get("/", host=host).status == 403
    assert client.get("/api/runs", host=host).status == 403


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", f"https://127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT + 1}"]
)
def test_another_origin_is_refused(client, origin):
    assert client.get("/api/runs", headers=[("origin", origin)]).status == 403
    assert client.get("/", headers=[("origin", origin)]).status == 403


def test_the_same_origin_is_allowed(client):
    assert (
        client.get(
            "/api/runs", headers=[("origin", f"http://127.0.0.1:{PORT}"), ("sec-fetch-site", "same-origin")]
        ).status
        == 200
    )
    assert client.get("/api/runs", headers=[("sec-fetch-site", "cross-site")]).status == 403


@pytest.mark.parametrize("token", [None, "", "x" * 43, TOKEN[:-1], TOKEN + "t"])
@pytest.mark.parametrize("path", ["/api/state", "/api/runs", "/api/nothing", "/somewhere"])
def test_nothing_is_answered_without_the_token(client, path, token):
    answer = client.get(path, token=token)
    assert answer.status == 401
    assert TOKEN not in answer.body.decode()


def test_another_user_of_the_machine_gets_nothing_from_any_address(client, write):
    run = write("secret-name").name
    routes = [(route.path, method) for route in client.app.app.routes for method in route.methods]
    assert len(routes) > 20
    for path, method in routes:
        if path in ASSETS and method in ("GET", "HEAD"):
            continue
        answer = client.call(method, path.replace("{run}", run).replace("{job:int}", "1"), b"{}", token="x" * 43)
        assert answer.status == 401, (method, path)
        assert b"secret" not in answer.body


def test_wrong_tokens_never_lock_out(client):
    for _ in range(20):
        client.get("/api/runs", token="wrong")
    assert client.get("/api/runs").status == 200


def test_two_tokens_are_refused(client):
    assert client.get("/api/runs", headers=[("authorization", "Bearer x")]).status == 401


def test_the_pages_files_need_no_token_but_are_read_only(client):
    for path in ASSETS:
        answer = client.get(path, token=None)
        assert answer.status == 200
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.call("POST", path, token=None).status == 401


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/page/../../gate.py", "/%2e%2e/gate.py", "/app.js/../../gate.py"]
)
def test_no_request_names_a_file(client, path):
    assert client.get(path).status == 404
    assert client.get(path, token=None).status == 401


def test_a_large_body_is_refused_before_it_is_read(client):
    answer = client.call("POST", "/api/explain", headers=[], body=b"{" + b" " * MAX_JSON_BYTES + b"}")
    assert answer.status == 413


def test_the_page_loads_nothing_from_elsewhere():
    for path, asset in ASSETS.items():
        text = asset.content.decode()
        addresses = text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in addresses, path
        assert "https://" not in addresses, path
        assert "innerHTML" not in text, path
        assert ".cookie" not in text, path
