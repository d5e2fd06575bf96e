"""A batch of granules that Harmony is to cut: submitted, asked how far it is, and begun anew where it was forgotten."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from vadose.products.fetching.base import FetchProblem, Offer
from vadose.products.fetching.contents import Names, needed, placing
from vadose.products.fetching.cuts import Cut, Need
from vadose.products.fetching.harmony import Harmony, NoAnswer
from vadose.products.fetching.manifest import Manifest

#: Endings of granules, which results change.
ENDING = re.compile(r"\.(h5|hdf5?|nc4?)$", re.IGNORECASE)
#: Signs that a name must have at least to be looked for in that of a result.
SHORTEST = 8
#: How often a job that waits for its user is told to go on.
NUDGES = 3


@dataclass
class Job:
    """Have a batch of granules cut; whoever uses it holds its lock.

    Attributes
    ----------
    collection
        Number of the granules' collection.
    need
        What is wanted of each granule.
    offers, keys
        The granules by their numbers, and their keys in the manifest.
    number
        Of the job, once it was submitted.
    is_remembered
        Whether an earlier run submitted it.
    cut, picked
        What is asked for, and under which names.
    links
        Addresses of results by granule.
    is_over, why, problem
        Whether no more results will come, why a granule has none, and what keeps the job for the next run.
    next_time
        When it may be asked again how far it is.
    """

    collection: str
    need: Need
    offers: dict[str, Offer] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()
    number: str = ""
    is_remembered: bool = False
    cut: Cut | None = None
    picked: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    is_over: bool = False
    why: str = ""
    problem: FetchProblem | None = None
    next_time: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    _percent: int = -1
    _nudges: int = 0
    _asked: int = 0
    _moved: float = field(default_factory=time.monotonic)

    @property
    def is_waiting(self) -> bool:
        """Tell whether it is still to be submitted."""
        return not self.number and not self.is_over

    def advance(self, harmony: Harmony, manifest: Manifest) -> None:
        """Submit it, or ask how far it is.

        Raises
        ------
        FetchProblem
            The download was stopped.
        """
        try:
            if self.number:
                self._ask(harmony, manifest)
            else:
                self._submit(harmony, manifest)
        except NoAnswer as problem:
            if self.number and problem.status in (404, 410):
                self._begin_anew(manifest, "Harmony has forgotten the job")
            else:
                self._end(f"Harmony gave {problem.found}")
        except FetchProblem as problem:
            if harmony.gate.is_stopped:
                raise
            self._end(f"Harmony gave {problem.found}")
        # the first questions come soon, as small jobs take seconds
        pause = min(harmony.policy.pause * 2**self._asked, harmony.policy.poll)
        self._asked, self.next_time = self._asked + 1, time.monotonic() + pause

    def _submit(self, harmony: Harmony, manifest: Manifest) -> None:
        can = harmony.abilities(self.collection)
        self.cut, self.picked = cut_of(self.need, can.variables)
        self.number = harmony.submit(self.collection, list(self.offers), self.cut, self.picked)
        manifest.remember_job(self.number, self.collection, self.cut, list(self.offers))

    def _ask(self, harmony: Harmony, manifest: Manifest) -> None:
        told = harmony.progress(self.number)
        if self.is_remembered and _is_past(told.expires):
            self._begin_anew(manifest, "the results of the job were thrown away")
            return
        before = (self._percent, len(self.links))
        known = set(self.links.values())  # each answer names all results so far
        for url in told.links:
            granule = None if url in known else granule_of(url, self.offers)
            if granule:
                self.links.setdefault(granule, url)
        self._percent = told.percent
        if (self._percent, len(self.links)) != before:
            self._moved = time.monotonic()
        harmony.gate.tell(f"Harmony: {told.state}, {told.percent} %")
        if told.is_over:
            reasons = {
                "failed": f"the job failed ({told.message})",
                "canceled": "the job was cancelled",
            }
            self._end(reasons.get(told.state, "Harmony could not cut it"))
        elif told.state in ("paused", "previewing"):
            self._nudge(harmony, told.state)
        elif time.monotonic() - self._moved > harmony.policy.longest_wait:
            self.problem = FetchProblem(
                "Harmony",
                found=f"a job that has not moved for {harmony.policy.longest_wait / 3600:.1f} h",
                remedy="It goes on there: run the same command again later, or take whole granules "
                "with --whole.",
            )

    def _nudge(self, harmony: Harmony, state: str) -> None:
        self._nudges += 1
        if self._nudges > NUDGES:
            self._end(f"the job stays {state}")
            return
        with suppress(NoAnswer):  # it may have gone on by itself
            harmony.go_on(self.number, state)

    def _begin_anew(self, manifest: Manifest, why: str) -> None:
        """Submit once more what an earlier run had submitted; what is forgotten in this one comes whole."""
        manifest.forget_job(self.number)
        if not self.is_remembered:
            self._end(why)
        self.number, self.is_remembered = "", False
        self.links.clear()

    def _end(self, why: str) -> None:
        self.is_over, self.why = True, why


def cut_of(need: Need, offered: frozenset[str]) -> tuple[Cut, tuple[str, ...]]:
    """Say what is asked for: the variables that are needed, as the archive names them, or all of them.

    Parameters
    ----------
    need
        What is wanted.
    offered
        Names of the variables that can be picked.

    Examples
    --------
    >>> need = Need(Cut((0, 40, 10, 50), ("Grid/precipitation",)), {"IMERG": ("precipitation",)})
    >>> cut_of(need, frozenset({"Grid/precipitationCal", "Grid/randomError"}))
    (Cut(box=(0, 40, 10, 50), variables=('Grid/precipitation',)), ('Grid/precipitationCal',))
    >>> cut_of(need, frozenset({"Grid/randomError"}))
    (Cut(box=(0, 40, 10, 50), variables=()), ())
    """
    names: Names = {}
    for product in need.products:
        names.update(needed(product, ()))
    found = []
    for name in need.cut.variables:
        hits = [one for one in names.get(name, (name,)) if one in offered]
        if not hits:
            return Cut(need.cut.box), ()
        found.append(hits[0])
    if not found:
        return Cut(need.cut.box), ()
    places = [one for product in need.products for one in placing(product) if one in offered]
    return need.cut, tuple(dict.fromkeys([*found, *places]))


def name_of(url: str) -> str:
    """Give the last part of an address; nothing of what is none.

    Examples
    --------
    >>> name_of("https://a/b/c%20d.nc4?e"), name_of("https://[")
    ('c d.nc4', '')
    """
    try:
        return unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:
        return ""


def granule_of(url: str, offers: Mapping[str, Offer]) -> str:
    """Find the one granule whose name or title stands in that of a result; empty for none or several.

    Examples
    --------
    >>> offers = {f"G{day}-A": Offer("SPL3SMP", f"SMAP_L3_SM_P_2019120{day}_R18290_001.h5", "") for day in (1, 2)}
    >>> granule_of("https://a/b/SMAP_L3_SM_P_20191202_R18290_001_subsetted.nc4?X=1", offers)
    'G2-A'
    """
    name = _plain(name_of(url))
    hits = []
    for granule, offer in offers.items():
        titles = offer.name, str(offer.asked.get("title", ""))
        stems = {_plain(ENDING.sub("", title)) for title in titles}
        if any(len(stem) >= SHORTEST and stem in name for stem in stems):
            hits.append(granule)
    return hits[0] if len(hits) == 1 else ""


def _plain(text: str) -> str:
    """Keep what services leave of a name: some write others in place of colons and dots."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _is_past(stamp: str) -> bool:
    try:
        when = datetime.fromisoformat(stamp)
    except ValueError:
        return False
    return (when if when.tzinfo else when.replace(tzinfo=UTC)) < datetime.now(UTC)
