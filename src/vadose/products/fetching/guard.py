"""Let requests out to hosts of the archives only, and each secret only to the hosts that it is meant for.

Clients follow redirections by themselves, and a ``.netrc`` with a ``default`` entry gives a password to
whoever asks. What stands here sees every request last, whoever made it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vadose.products.fetching.servers import Servers, is_of

if TYPE_CHECKING:
    import requests

#: Seconds without an answer after which requests of clients that set no limit are given up.
TIMEOUT = 120.0
#: Header of the Climate Data Store's key.
KEY = "PRIVATE-TOKEN"


def guard(
    session: requests.Session, servers: Servers, secrets: Mapping[str, tuple[str, ...]]
) -> requests.Session:
    """Guard a session; gives the same session.

    Parameters
    ----------
    session
        Of whichever client.
    servers
        Whose hosts may be asked; another address raises `FetchProblem` before it is connected to.
    secrets
        Hosts, with all below them, by secret: ``Basic`` and ``Bearer`` for what stands in the header
        ``Authorization``, `KEY`. What is not named is sent to nobody.
    """
    hide_queries()
    adapter = _adapter(servers, secrets)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _adapter(servers: Servers, secrets: Mapping[str, tuple[str, ...]]) -> Any:
    from requests.adapters import HTTPAdapter

    class Guard(HTTPAdapter):
        def send(
            self, request: requests.PreparedRequest, *args: Any, **options: Any
        ) -> requests.Response:
            url = str(request.url)
            servers.check_redirection(url)
            strip(request, urlsplit(url).hostname or "", secrets)
            return super().send(request, *args, **patient(options))

    return Guard()


def hide_queries() -> None:
    """Have urllib3 log no queries, whoever has asked it to log all that there is."""
    logging.getLogger("urllib3.connectionpool").addFilter(_without_query)


def _without_query(record: logging.LogRecord) -> bool:
    """Leave out of what urllib3 logs what follows a path: it may be a signature, as good as a password."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            f"{one.partition('?')[0]}?..." if isinstance(one, str) and "?" in one else one
            for one in record.args
        )
    return True


def patient(options: dict[str, Any]) -> dict[str, Any]:
    """Give a request a timeout where its client names none: a firewall that drops it would hold us for good."""
    return {**options, "timeout": options.get("timeout") or TIMEOUT}


def strip(
    request: requests.PreparedRequest, host: str, secrets: Mapping[str, tuple[str, ...]]
) -> None:
    """Take off a request what its host may not see."""
    kind = str(request.headers.get("Authorization", "")).partition(" ")[0]
    if kind and not is_of(host, secrets.get(kind, ())):
        del request.headers["Authorization"]
    if KEY in request.headers and not is_of(host, secrets.get(KEY, ())):
        del request.headers[KEY]
