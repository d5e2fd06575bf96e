"""Tell an archive that cannot be reached at all from a connection that broke.

Without a network every file of every archive would be tried again and again, for hours and without a word. An
archive that has answered nobody yet is therefore asked a few times only, and then for nothing more; one that
has answered is worth all the patience there is.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from vadose.products.fetching.base import FetchProblem, Policy
from vadose.products.fetching.gate import Gate

#: Attempts at an archive that has not answered yet.
FEW = 3


def attempts_of(policy: Policy, gate: Gate, *, is_unreached: bool) -> int:
    """Say how often to try: less where nobody has answered yet, and no connection came about."""
    return min(FEW, policy.attempts) if is_unreached and not gate.is_reached else policy.attempts


def is_unreached(error: BaseException) -> bool:
    """Tell whether no connection came about: no network, no such host, nobody there, a proxy that refuses.

    Parameters
    ----------
    error
        Of requests, or of a client that has it as its cause.
    """
    import requests
    import urllib3

    found: BaseException | None = error
    while found is not None and not isinstance(found, requests.RequestException):
        found = found.__cause__
    if isinstance(found, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    if not isinstance(found, requests.ConnectionError):
        return False
    cause = found.args[0] if found.args else None
    # a server that hangs up has been reached; it gives another error
    return isinstance(cause, urllib3.exceptions.MaxRetryError)


def unreached(url: str, error: BaseException) -> FetchProblem:
    """Say that nobody answers at an address, without what a signed one holds.

    Examples
    --------
    >>> print(unreached("https://example.org/a.h5?token=1", OSError()))
    example.org: found nobody who answers (OSError), expected a connection to the archive. Is this machine on the \
network, and does a firewall let it out (HTTPS_PROXY names a proxy)? Run the same command again then.
    """
    cause: Any = error.args[0] if error.args else error
    kind = type(getattr(cause, "reason", None) or error).__name__
    return FetchProblem(
        urlsplit(url).hostname or "archive",
        found=f"nobody who answers ({kind})",
        expected="a connection to the archive",
        remedy="Is this machine on the network, and does a firewall let it out (HTTPS_PROXY names a proxy)? Run "
        "the same command again then.",
    )
