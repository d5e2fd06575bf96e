"""Talk to the Climate Data Store: ask, wait in its queue, and pick up what it made, now or in a later run.

`cdsapi` reads the key; the client below it (ecmwf-datastores-client, which cdsapi hands out) gives the number
of a request when it is made and finds it again by that number. It is told to try once: pauses are ours, so
that a stop ends them.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from vadose.errors import MissingExtra
from vadose.products.fetching.accounts import ACCOUNTS, has_credentials
from vadose.products.fetching.base import FetchProblem, LoginProblem, Offer, Policy
from vadose.products.fetching.gate import ALL, Gate
from vadose.products.fetching.guard import KEY, guard
from vadose.products.fetching.reach import attempts_of, is_unreached, unreached
from vadose.products.fetching.servers import Servers
from vadose.products.fetching.tickets import NUMBER
from vadose.products.fetching.transfer import BUSY, Sessions, open_session, retry_after

if TYPE_CHECKING:
    import requests

#: What the store calls a state, and what we do.
WORDS = {"accepted": "queued", "running": "running"}
#: Parts of the store's sentences when it has enough of us for now; it rejects what it had accepted.
FULL = ("temporarily limited", "too many queued", "maximum number of requests")
Answer = TypeVar("Answer")


class Lost(FetchProblem):
    """Report a request that will not be answered: the store has forgotten, rejected or failed it.

    Attributes
    ----------
    is_full
        Whether it was rejected because the store has too many of ours, and may be made again later.
    """

    is_full = False


class Queue:
    """Make requests and wait for them.

    Parameters
    ----------
    servers, policy
        Where, and how patiently.
    gate
        Of the archive: pauses end where it is stopped, and a refused key closes it.
    """

    def __init__(self, servers: Servers, policy: Policy, gate: Gate) -> None:
        self.servers, self.policy, self.gate = servers, policy, gate
        self._local = threading.local()
        self._making = threading.Lock()
        self._sessions = Sessions(lambda: open_session(servers))

    def close(self) -> None:
        """Close the connections."""
        self._sessions.close()

    @property
    def url(self) -> str:
        """Give the address of the store, which stands with the key."""
        return str(self.client().url)

    def submit(self, offer: Offer) -> str:
        """Ask for fields; gives the number of the request.

        Raises
        ------
        FetchProblem, LoginProblem
        """
        client = self.client()

        def ask() -> Any:
            return client.submit(offer.collection, dict(offer.asked))

        number = str(self._answer(ask, offer, known=False).request_id)
        if not NUMBER.fullmatch(number):
            raise FetchProblem(offer.name, found="a request whose number cannot be read")
        return number

    def await_result(self, number: str, offer: Offer, until: float) -> tuple[str, int]:
        """Wait until the store has made a file; gives its address and bytes.

        Parameters
        ----------
        number
            Of the request.
        offer
            What was asked for.
        until
            Moment (`time.monotonic`) at which the request is left in the queue.

        Raises
        ------
        Lost
            It will not be made.
        FetchProblem, LoginProblem
            It is not made yet, or the store does not answer; the number holds.
        """
        client = self.client()
        remote = self._answer(lambda: client.get_remote(number), offer)
        pause = min(self.policy.pause, self.policy.poll)
        while (status := str(self._answer(lambda: remote.status, offer))) != "successful":
            if status not in WORDS:
                raise self._lost(offer, status, remote)
            self.gate.tell(f"{offer.name}: {WORDS[status]} at the store")
            if time.monotonic() + pause > until:
                raise FetchProblem(
                    offer.name,
                    found=f"a request that is still {WORDS[status]} at the store",
                    remedy="It stays there: run the same command again later, which goes on with it.",
                )
            self.gate.rest(pause, offer.product)
            pause = min(1.5 * pause, self.policy.poll)
        self.gate.tell(f"{offer.name}: made")
        results = self._answer(remote.get_results, offer)
        try:
            return str(results.location), int(results.content_length)
        except (KeyError, ValueError, TypeError) as error:
            raise FetchProblem(
                offer.name, found=f"an answer without a file ({type(error).__name__})"
            ) from error

    def _lost(self, offer: Offer, status: str, remote: Any) -> Lost:
        """Ask why a request will not be answered."""
        import requests

        detail = ""
        try:
            remote.get_results()  # it answers with the reason, as an error
        except requests.HTTPError as error:
            detail = reason(error)
        except (requests.RequestException, RuntimeError, ValueError, KeyError) as error:
            detail = " ".join(str(error).split())[:200]
        shown = f": {detail}" if detail else ""
        problem = Lost(offer.name, found=f"a request that the store has {status}{shown}")
        is_limit = any(words in detail.lower() for words in FULL)
        problem.is_full = status == "rejected" and is_limit
        return problem

    def _answer(self, call: Callable[[], Answer], offer: Offer, *, known: bool = True) -> Answer:
        """Call until there is an answer; a busy store and a broken connection get their pauses."""
        import requests

        why = ""
        for attempt in range(self.policy.attempts):
            wait = self.policy.pause * 2**attempt
            self.gate.wait(offer.product)
            try:
                told = call()
                self.gate.is_reached = True
                return told
            except requests.HTTPError as error:
                self.gate.is_reached = True
                response = error.response
                status = 0 if response is None else int(response.status_code)
                if known and status in (403, 404, 410):  # 403: it was made with another account
                    raise Lost(
                        offer.name, found=f"a request that the store does not know ({status})"
                    ) from None
                if status in (401, 403):
                    raise self._refused(offer, status) from None
                if status not in BUSY:
                    raise FetchProblem(
                        offer.name, found=f"the answer {status} of the store: {reason(error)}"
                    ) from None
                why = f"a busy store ({status})"
                asked = None if response is None else retry_after(response)
                wait = min(wait if asked is None else asked, self.policy.longest_pause)
                if status in (429, 503):
                    self.gate.hold(wait)
            except requests.RequestException as error:
                why = f"a connection that broke ({type(error).__name__})"
                no_way = is_unreached(error)
                if no_way and attempt + 1 >= attempts_of(self.policy, self.gate, is_unreached=True):
                    problem = unreached(self.url, error)
                    if not self.gate.is_reached:
                        self.gate.close(problem, ALL)
                    raise problem from None
            except FetchProblem:
                raise
            except (
                Exception
            ) as error:  # answers that are not what its client expects raise anything
                raise FetchProblem(
                    offer.name, found=f"an answer that cannot be read ({type(error).__name__})"
                ) from None
            if attempt + 1 < self.policy.attempts:
                self.gate.rest(min(wait, self.policy.longest_pause), offer.product)
        raise FetchProblem(
            offer.name,
            found=f"{why}, {self.policy.attempts} times",
            remedy="Run the same command again later; what the store has been asked for is gone on with.",
        )

    def _refused(self, offer: Offer, status: int) -> LoginProblem:
        problem = LoginProblem(
            offer.name,
            found=f"a request that was refused ({status})",
            expected="a key, and a licence that was accepted",
            remedy=f"Accept the licence on {offer.url}, and renew the key in "
            f"{ACCOUNTS['climate_store'].where}.",
        )
        self.gate.close(problem, offer.product if status == 403 else ALL)
        return problem

    def client(self) -> Any:
        """Give the store's client of this thread.

        Raises
        ------
        LoginProblem, MissingExtra
        """
        if not hasattr(self._local, "client"):
            with self._making:  # warnings are held back for the whole process
                self._local.client = self._make()
        return self._local.client

    def _make(self) -> Any:
        try:
            import cdsapi
        except ModuleNotFoundError as error:
            raise MissingExtra("cdsapi", extra="access") from error
        account = ACCOUNTS["climate_store"]
        remedy = f"Register at {account.register}, and put the key into {account.where}."
        if not has_credentials("climate_store"):
            problem = LoginProblem(account.title, found="no key", remedy=remedy)
            self.gate.close(problem, ALL)
            raise problem
        session = self._sessions()
        try:
            url = str(cdsapi.api.get_url_key_verify(None, None, None)[0])
            guard(session, self.servers, {KEY: (urlsplit(url).hostname or "",)})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its news of the day could not be had
                made = cdsapi.Client(
                    timeout=max(1, int(self.policy.timeout)),
                    progress=False,
                    delete=False,
                    retry_max=1,
                    session=session,
                    quiet=True,
                    # what it logs holds the key
                    debug_callback=_nothing,
                    info_callback=_nothing,
                )
            if not hasattr(made, "client"):
                raise ValueError("NUMBER:KEY, of the store that was closed in 2024")
            return made.client
        except Exception as error:  # the client raises plain Exception; its text may hold the key
            problem = LoginProblem(
                account.title,
                found=f"a key that cannot be read ({type(error).__name__})",
                expected="a personal access token, without a colon",
                remedy=remedy,
            )
            self.gate.close(problem, ALL)
            raise problem from None


def _nothing(*_: object, **__: object) -> None:
    """Log nothing."""


def reason(error: requests.HTTPError) -> str:
    """Give the store's own words, without the address."""
    lines = [line.strip() for line in str(error).splitlines()[1:]]
    return " ".join(line for line in lines if line)[:200] or type(error).__name__
