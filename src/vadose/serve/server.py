"""The server: one process on the loopback address, and nowhere else."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
import zarr

from vadose.errors import ValueProblem
from vadose.serve.guard import Guard

#: The only address that is listened on.
LOOPBACK = "127.0.0.1"


def serve_app(app: Guard, port: int, tell: Callable[[str], None] = print) -> None:
    """Answer until interrupted.

    Parameters
    ----------
    app
        What `vadose.serve.create_app` gave.
    port
        Port to listen on; 0 for any free one.
    tell
        Called with the address when it answers.

    Raises
    ------
    ValueProblem
        When the port is taken.
    """
    # tiles are cut in threads of our own; more of them only hold memory and wait for each other
    zarr.config.set({"threading.max_workers": 2, "async.concurrency": 8})
    with open_socket(port) as listening:
        tell(f"http://{LOOPBACK}:{listening.getsockname()[1]}/")
        uvicorn.Server(configured(app)).run(sockets=[listening])


def configured(app: Guard) -> uvicorn.Config:
    """Give the settings of the server: quiet, without its name, patient for a few seconds only."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        ws="none",
    )


def open_socket(port: int) -> socket.socket:
    """Open a socket on the loopback address.

    Raises
    ------
    ValueProblem
        When the port is taken.

    Examples
    --------
    >>> with open_socket(0) as listening:
    ...     listening.getsockname()[0]
    '127.0.0.1'
    """
    # asyncio sends answers at once only where the protocol is named; else each waits 40 ms for an acknowledgement
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(1024)  # who asks before the server has begun waits, and is not refused
    except OSError as error:
        listening.close()
        raise ValueProblem(
            f"port {port}",
            found=f"a port that cannot be had ({error.strerror})",
            expected="a free one",
            remedy="Name another one with --port, or 0 for any.",
        ) from error
    return listening
