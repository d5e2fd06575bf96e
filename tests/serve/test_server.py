"""The server listens on the loopback address alone."""

import pytest

from vadose.errors import MissingExtra, ValueProblem
from vadose.serve.server import open_socket


def test_a_taken_port_is_named():
    with open_socket(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueProblem, match=f"port {port}: found a port that cannot be had"):
            open_socket(port)


def test_answers_are_sent_at_once():
    """What asyncio looks at before it switches off the wait for acknowledgements."""
    import socket

    with open_socket(0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_without_the_extra_the_remedy_is_named(monkeypatch):
    import sys

    import vadose.serve

    for name in ("vadose.serve.app", "vadose.serve.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("fastapi", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("create_app", "serve_app"):
        with pytest.raises(MissingExtra, match=r"pip install 'vadose\[serve\]'"):
            getattr(vadose.serve, name)


def test_the_command_listens_on_the_loopback_and_tells_where(run, monkeypatch):
    from typer.testing import CliRunner

    from vadose.cli import app

    heard = []

    def answer(server, sockets):
        heard.append((sockets[0].getsockname(), server.config))

    monkeypatch.setattr("uvicorn.Server.run", answer)
    result = CliRunner().invoke(app, ["serve", str(run), "--port", "0"])
    assert result.exit_code == 0, result.output
    (host, port), config = heard[0]
    assert host == "127.0.0.1"
    assert f"http://127.0.0.1:{port}/" in result.output
    assert config.server_header is False


def test_no_option_names_another_host(run):
    from typer.testing import CliRunner

    from vadose.cli import app

    result = CliRunner().invoke(app, ["serve", str(run), "--host", "0.0.0.0"])  # noqa: S104
    assert result.exit_code == 2
    assert "No such option" in result.output
