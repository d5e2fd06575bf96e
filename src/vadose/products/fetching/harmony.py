"""NASA's Harmony: what it can cut of a collection, jobs that cut granules, and how far they are.

Asked by plain requests of the sessions that earthaccess has logged in. NASA's own client, harmony-py, keeps
a session and a login of its own beside those, reads any ``.env`` file into the environment, and knows no
other servers than NASA's, so that it could not be tried against faults; the four calls below are all that
is used of it. Addresses are put together here and none that an answer names is asked, but for results, which
are checked like those of any file.

References
----------
https://harmony.earthdata.nasa.gov/docs: OGC Coverages API 1.0.0, capabilities, jobs.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vadose.errors import VadoseError
from vadose.products.fetching.base import FetchProblem, Policy
from vadose.products.fetching.cuts import Cut
from vadose.products.fetching.gate import Gate
from vadose.products.fetching.planning import padded
from vadose.products.fetching.transfer import BUSY, retry_after

if TYPE_CHECKING:
    import requests

#: Degrees by which more is asked for: what the archive fills beyond a box, it fills by half cells.
MARGIN = 1.0
#: Results of a page.
PAGE = 2000
#: The media type of what is cut; services that give anything else are not taken.
FORMAT = "application/x-netcdf4"
#: Stands for Harmony where an archive's products are told apart.
GATE = "Harmony"
#: Numbers of jobs, collections and granules, as they are written into addresses.
JOB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CONCEPT = re.compile(r"[CG]\d+-[A-Z0-9_]+")


@dataclass(frozen=True)
class Abilities:
    """Say what can be cut of a collection.

    Attributes
    ----------
    has_box
        Whether it can be cut to a box.
    variables
        Names of the variables that can be picked; none where they cannot.
    why
        Why it cannot be cut.
    """

    has_box: bool = False
    variables: frozenset[str] = frozenset()
    why: str = ""


@dataclass(frozen=True)
class Progress:
    """Say how far a job is.

    Attributes
    ----------
    state
        In Harmony's words.
    percent
        Of its granules.
    links
        Addresses of the results so far.
    message
        What Harmony says of it.
    expires
        When the results are thrown away, ISO 8601; empty where it is not said.
    """

    state: str
    percent: int
    links: tuple[str, ...] = ()
    message: str = ""
    expires: str = ""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more will come."""
        return self.state in ("successful", "failed", "canceled", "complete_with_errors")


class Harmony:
    """Ask Harmony.

    Parameters
    ----------
    root
        Its address.
    session
        Gives the session of this thread, logged in.
    policy
        How patiently.
    gate
        Stops the waiting.
    """

    def __init__(
        self, root: str, session: Callable[[], requests.Session], policy: Policy, gate: Gate
    ) -> None:
        self.root, self.policy, self.gate = root, policy, gate
        self._session = session
        self._abilities: dict[str, Abilities] = {}
        self._lock = threading.Lock()

    def abilities(self, collection: str) -> Abilities:
        """Ask once what can be cut of a collection; nothing, where there is no answer."""
        with self._lock:
            if collection not in self._abilities:
                self._abilities[collection] = self._ask_abilities(collection)
            return self._abilities[collection]

    def _ask_abilities(self, collection: str) -> Abilities:
        if not CONCEPT.fullmatch(collection):
            return Abilities(why="the search does not say which collection it is")
        try:
            told = self._ask("GET", "capabilities", {"collectionId": collection, "version": "2"})
        except NoAnswer as problem:
            is_unknown = problem.status == 404
            why = "Harmony does not know this collection" if is_unknown else ""
            return Abilities(why=why or f"Harmony gave {problem.found}")
        except (
            VadoseError
        ) as problem:  # no login, which those who download will be told of, each for itself
            return Abilities(why=f"Harmony was not asked ({problem.found})")
        if told.get("bboxSubset") is not True:
            return Abilities(why="Harmony cannot cut this collection to a box")
        named = told.get("variables")
        names = [
            str(one.get("name", "")).lstrip("/")
            for one in (named if isinstance(named, list) else [])
            if isinstance(one, Mapping)
        ]
        can_pick = told.get("variableSubset") is True
        return Abilities(True, frozenset(names) if can_pick else frozenset())

    def submit(
        self, collection: str, granules: Sequence[str], cut: Cut, variables: Sequence[str]
    ) -> str:
        """Ask for granules, cut; gives the number of the job.

        Parameters
        ----------
        collection, granules
            Their concept ids.
        cut
            The box, which is asked for with `MARGIN`.
        variables
            Names of variables to pick; all where there are none.

        Raises
        ------
        FetchProblem
        """
        west, south, east, north = padded(cut.box, MARGIN)
        fields = [
            ("subset", f"lat({south:g}:{north:g})"),
            ("subset", f"lon({west:g}:{east:g})"),
            ("granuleId", ",".join(granules)),
            ("forceAsync", "true"),
            ("skipPreview", "true"),
            ("ignoreErrors", "true"),
            ("concatenate", "false"),
            ("format", FORMAT),
            ("variable", ",".join(variables) or "all"),
        ]
        where = f"{collection}/ogc-api-coverages/1.0.0/collections/parameter_vars/coverage/rangeset"
        told = self._ask("POST", where, fields=fields)
        job = str(told.get("jobID", ""))
        if not JOB.fullmatch(job):
            raise FetchProblem("Harmony", found="an answer without a job", expected="a job")
        return job

    def progress(self, job: str) -> Progress:
        """Ask how far a job is, and for its results so far.

        Raises
        ------
        FetchProblem
        """
        links: list[str] = []
        page = 1
        while True:
            asked = {"linktype": "https", "page": str(page), "limit": str(PAGE)}
            told = self._ask("GET", f"jobs/{job}", asked)
            listed = told.get("links")
            rows = [one for one in listed or [] if isinstance(one, Mapping)]
            links += [str(one.get("href", "")) for one in rows if one.get("rel") == "data"]
            if not any(one.get("rel") == "next" for one in rows) or page > MOST_PAGES:
                break
            page += 1
        percent = told.get("progress")
        return Progress(
            state=str(told.get("status", "")),
            percent=int(percent) if isinstance(percent, int | float) else 0,
            links=tuple(links),
            # it is shown on a terminal, which signs could command
            message="".join(filter(str.isprintable, str(told.get("message", ""))))[:200],
            expires=str(told.get("dataExpiration") or ""),
        )

    def go_on(self, job: str, state: str) -> None:
        """Let a job go on that waits for its user: one that was paused, or that shows its first results.

        Raises
        ------
        FetchProblem
        """
        word = "resume" if state == "paused" else "skip-preview"
        self._ask("GET", f"jobs/{job}/{word}", is_moved=True)

    def _ask(
        self,
        method: str,
        where: str,
        asked: Mapping[str, str] | None = None,
        *,
        fields: Sequence[tuple[str, str]] = (),
        is_moved: bool = False,
    ) -> dict[str, Any]:
        """Ask until there is an answer; a busy server gets its pauses."""
        import requests

        found, wait = "", 0.0
        for attempt in range(self.policy.attempts):
            if attempt:
                self.gate.rest(min(wait, self.policy.longest_pause), GATE)
            wait = self.policy.pause * 2**attempt
            try:
                with self._session().request(
                    method,
                    f"{self.root}{where}",
                    params=dict(asked or {}),
                    # Harmony takes no other form, of many granules too many for an address
                    files=[(name, (None, text)) for name, text in fields] or None,
                    timeout=self.policy.timeout,
                    allow_redirects=False,
                ) as answer:
                    status = answer.status_code
                    if status == 200:
                        told = answer.json()
                        return told if isinstance(told, dict) else {}
                    hit = JOB.search(answer.headers.get("Location", ""))
                    if status in (302, 303) and (hit or is_moved):
                        return {"jobID": hit[0]} if hit else {}
                    found = f"the answer {status}"
                    if status not in BUSY:
                        raise NoAnswer("Harmony", found=found, status=status)
                    stated = retry_after(answer)
                    wait = wait if stated is None else stated
            except (requests.RequestException, ValueError) as error:
                found = f"no answer that can be read ({type(error).__name__})"
        raise NoAnswer("Harmony", found=f"{found}, {self.policy.attempts} times", status=0)


#: Pages of results after which a job is taken for endless.
MOST_PAGES = 100


class NoAnswer(FetchProblem):
    """Report that Harmony did not do as it was asked; `status` is 404 where it has forgotten a job."""

    def __init__(self, subject: str, *, found: str, status: int) -> None:
        super().__init__(subject, found=found)
        self.status = status
