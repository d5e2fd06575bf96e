"""Log in at Earthdata through earthaccess, and keep name, password and token where they belong.

earthaccess finds the credentials, asks the login host for a token, and answers that host wherever a
download is sent to it. Here every session of it is guarded, and a token that expires in the middle of a
download is asked for anew, where name and password are known.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vadose.errors import MissingExtra, VadoseError
from vadose.products.fetching.accounts import ACCOUNTS, earthdata_strategy
from vadose.products.fetching.base import LoginProblem
from vadose.products.fetching.guard import hide_queries, patient, strip
from vadose.products.fetching.reach import is_unreached, unreached
from vadose.products.fetching.servers import Servers, is_of

if TYPE_CHECKING:
    import requests


def log_in(servers: Servers) -> Any:
    """Log in at Earthdata with the credentials that are where they belong.

    Parameters
    ----------
    servers
        Where the search and the login are; other hosts see neither name nor password.

    Returns
    -------
    earthaccess.Auth
        Whose sessions are guarded.

    Raises
    ------
    LoginProblem
        None are there, or they were refused.
    MissingExtra
        earthaccess is not installed.
    """
    try:
        from earthaccess.exceptions import LoginAttemptFailure, LoginStrategyUnavailable
        from earthaccess.system import PROD, CMRBaseURL, EDLHostname, System
    except ModuleNotFoundError as error:
        raise MissingExtra("earthaccess", extra="access") from error
    account = ACCOUNTS["earthdata"]
    strategy = earthdata_strategy()
    remedy = f"Register at {account.register}, and put name and password into {account.where}."
    if strategy is None:
        raise LoginProblem(account.title, found="no credentials", remedy=remedy)
    system = System(
        CMRBaseURL(servers.search),
        PROD.status_url,
        PROD.status_api_url,
        EDLHostname(servers.login),
    )
    auth = _guarded(servers)
    try:
        auth.login(strategy=strategy, system=system)
    except OSError as error:
        if is_unreached(error):
            raise unreached(f"https://{servers.login}/", error) from None
        raise LoginProblem(
            account.title, found=f"a login that failed ({type(error).__name__})", remedy=remedy
        ) from None
    except (LoginAttemptFailure, LoginStrategyUnavailable, ValueError, KeyError) as error:
        # the text of the error may hold the answer of the server; ours says what to do
        raise LoginProblem(
            account.title, found=f"a login that failed ({type(error).__name__})", remedy=remedy
        ) from None
    return auth


def _guarded(servers: Servers) -> Any:
    """Make earthaccess's `Auth` with sessions that pass through a guard."""
    from earthaccess.auth import Auth
    from requests.adapters import HTTPAdapter

    secrets = {"Basic": (servers.login,), "Bearer": (servers.login, *servers.tokens)}
    renewing = threading.Lock()

    class Guard(HTTPAdapter):
        """Send no secret to strangers; where a token has expired, ask once more with a new one."""

        def __init__(self, auth: Guarded) -> None:
            self._auth = auth
            super().__init__()

        def send(
            self, request: requests.PreparedRequest, *args: Any, **options: Any
        ) -> requests.Response:
            url = str(request.url)
            servers.check_redirection(url)
            host = urlsplit(url).hostname or ""
            is_theirs = is_of(host, servers.tokens) and host != servers.login
            bearer = self._bear(request) if is_theirs else ""
            strip(request, host, secrets)
            answer = super().send(request, *args, **patient(options))
            if answer.status_code == 401 and bearer and self._auth.renew(bearer):
                answer.close()
                self._bear(request)
                answer = super().send(request, *args, **patient(options))
            return answer

        def _bear(self, request: requests.PreparedRequest) -> str:
            """Put the token of now where one stood, or where a ``.netrc`` has put a password in its place."""
            kind = str(request.headers.get("Authorization", "")).partition(" ")[0]
            token = str((self._auth.token or {}).get("access_token", ""))
            if not token or not kind:
                return ""
            request.headers["Authorization"] = f"Bearer {token}"
            return token

    class Guarded(Auth):
        def __init__(self) -> None:
            super().__init__()
            self._refused: set[str] = set()

        def get_session(self) -> requests.Session:
            session: requests.Session = super().get_session()
            hide_queries()
            session.mount("https://", Guard(self))
            session.mount("http://", Guard(self))
            return session

        def renew(self, old: str) -> bool:
            """Ask for a new token in place of an expired one, once; tells whether there is another."""
            with renewing:
                if self._holds(old) and old not in self._refused:
                    self._refused.add(old)  # many refused logins would lock an account
                    with contextlib.suppress(VadoseError):  # the 401 is what is told
                        self.token = log_in(servers).token
                return not self._holds(old)

        def _holds(self, token: str) -> bool:
            return bool((self.token or {}).get("access_token") == token)

    return Guarded()
