"""What is refused before anything is looked up."""

import asyncio

import pytest

from vadose.serve.guard import Guard, Limits


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_reading_is_allowed(ask, method):
    answer = ask.request(method, "/api/map")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.json()["detail"] == "This server only reads: GET and HEAD."


def test_head_is_get_without_the_body(ask):
    whole, head = ask.get("/static/map.css"), ask.head("/static/map.css")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == whole.headers["content-length"]


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1.example.org", "192.0.2.1", "", "[::2]:80"]
)
def test_a_page_from_elsewhere_cannot_ask_under_another_name(ask, host):
    answer = ask.get("/api/map", headers={"host": host})
    assert answer.status_code == 421
    assert "127.0.0.1 and localhost only" in answer.json()["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8321", "[::1]:8321"])
def test_this_machine_may_ask(ask, host):
    assert ask.get("/api/map", headers={"host": host}).status_code == 200


def test_bodies_and_addresses_are_short(ask):
    assert ask.request("GET", "/api/map", content=b"x" * 2000).status_code == 413
    assert ask.get("/api/map", headers={"transfer-encoding": "chunked"}).status_code == 413
    assert ask.get("/api/map?" + "x" * 3000).status_code == 414


def test_more_requests_than_allowed_have_to_wait(run, client_of):
    with client_of(run, per_second=0.001, burst=3) as ask:
        answers = [ask.get("/static/icon.svg") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"


def test_only_so_many_may_wait_at_a_time():
    async def slow(scope, receive, send):
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guard = Guard(slow, Limits(in_flight=3))
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }

    async def ask_all():
        statuses = []

        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await asyncio.gather(*(guard(scope, None, send) for _ in range(10)))
        return statuses

    assert sorted(asyncio.run(ask_all())) == [200] * 3 + [503] * 7


def test_a_pause_gives_the_allowance_back():
    now = 0.0
    guard = Guard(lambda *_: None, Limits(per_second=2.0, burst=4), clock=lambda: now)
    assert [guard._may_pass() for _ in range(5)] == [True] * 4 + [False]
    now = 1.0
    assert [guard._may_pass() for _ in range(3)] == [True, True, False]
