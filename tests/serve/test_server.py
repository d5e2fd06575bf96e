"""The server listens on the loopback address alone."""

import pytest

from vadose.errors import MissingExtra, ValueProblem
from vadose.serve.server import open_socket


def test_a_taken_port_is_named():
    with open_socket(0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueProblem, match=f"port {port}: found a port that cannot be had"):
            open_socket(port)


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
