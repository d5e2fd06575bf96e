"""Granules that Harmony cuts: which job a granule belongs to, when its result is there, and how it is taken.

Granules are asked for in batches. A job is remembered in the manifest the moment it has a number, so that a
run that was stopped goes on with it. Whatever fails on this way makes a granule come whole, and is told.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vadose.errors import VadoseError
from vadose.products.fetching.base import FetchProblem, Offer
from vadose.products.fetching.contents import Names, is_cut, needed, placing
from vadose.products.fetching.cuts import Cut, Need, remembered_cut
from vadose.products.fetching.extents import check_cut
from vadose.products.fetching.harmony import CONCEPT, GATE, JOB, Harmony, NoAnswer
from vadose.products.fetching.manifest import Manifest
from vadose.products.fetching.servers import Servers
from vadose.products.fetching.transfer import Sessions, transfer

#: Granules of a job.
BATCH = 200
#: Share of the globe beyond which a box is not worth a job.
LARGE = 0.5
#: How often a job that waits for its user is told to go on.
NUDGES = 3


@dataclass
class _Job:
    """A batch of granules, whose job may not have been submitted yet."""

    collection: str
    need: Need
    cut: Cut
    picked: tuple[str, ...] = ()
    offers: dict[str, Offer] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    number: str = ""
    is_remembered: bool = False
    is_over: bool = False
    why: str = ""
    problem: FetchProblem | None = None
    links: dict[str, str] = field(default_factory=dict)
    percent: int = -1
    nudges: int = 0
    asked: int = 0
    next_time: float = 0.0
    moved: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Subsets:
    """Have granules cut by Harmony, where it can.

    Parameters
    ----------
    harmony
        Asks it.
    sessions
        Connections, one for each thread, logged in.
    servers
        Which hosts results may come from.
    manifest
        Remembers jobs.
    """

    def __init__(
        self, harmony: Harmony, sessions: Sessions, servers: Servers, manifest: Manifest
    ) -> None:
        self.harmony, self.manifest = harmony, manifest
        self._sessions, self._servers = sessions, servers
        self._jobs: dict[str, _Job] = {}
        self._whole: Counter[tuple[str, str]] = Counter()
        self._cut: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, offers: Mapping[str, Offer], need: Need) -> set[str]:
        """Put granules into jobs; gives the keys of those that will be cut.

        Parameters
        ----------
        offers
            Granules by their keys in the manifest.
        need
            What is wanted of each.
        """
        by_collection: dict[str, dict[str, Offer]] = {}
        for key, offer in offers.items():
            if not is_cut(offer.product) or _is_large(need.cut):
                continue
            if not CONCEPT.fullmatch(str(offer.asked.get("granule", ""))):
                why = "its number at the archive is not known (--refresh asks for it)"
                self._whole[offer.product, why] += 1
                continue
            collection = str(offer.asked.get("collection", ""))
            by_collection.setdefault(collection, {})[key] = offer
        added: set[str] = set()
        for collection, several in by_collection.items():
            can = self.harmony.abilities(collection)
            if not can.has_box:
                for offer in several.values():
                    self._whole[offer.product, can.why] += 1
                continue
            picked = _picked(need, can.variables)
            cut = need.cut if picked else Cut(need.cut.box)
            left = list(self._remembered(collection, several, cut, need).items())
            for start in range(0, len(left), BATCH):
                self._put(_Job(collection, need, cut, picked), dict(left[start : start + BATCH]))
            added |= set(several)
        return added

    def _put(self, job: _Job, offers: Mapping[str, Offer]) -> None:
        job.offers = {str(offer.asked["granule"]): offer for offer in offers.values()}
        job.keys = set(offers)
        self._jobs.update(dict.fromkeys(offers, job))

    def _remembered(
        self, collection: str, offers: Mapping[str, Offer], cut: Cut, need: Need
    ) -> dict[str, Offer]:
        """Give granules to jobs that an earlier run has submitted; returns the others."""
        left = dict(offers)
        for number, row in reversed(list(self.manifest.jobs.items())):
            try:
                held = remembered_cut(row)
                is_same = row["collection"] == collection and JOB.fullmatch(number) is not None
                granules = set(map(str, row["granules"]))
            except (KeyError, TypeError, ValueError):
                continue
            if not (is_same and held is not None and held.holds(cut)):
                continue
            batch = {key: one for key, one in left.items() if one.asked["granule"] in granules}
            if batch:
                job = _Job(collection, need, held, number=number, is_remembered=True)
                self._put(job, batch)
                left = {key: one for key, one in left.items() if key not in batch}
        return left

    def get(self, key: str, offer: Offer, part: Path) -> tuple[Offer, Path, int] | None:
        """Wait for a granule, cut, and download it; None where it is to come whole.

        Parameters
        ----------
        key, offer
            One of those that were added.
        part
            Its working name as a whole; a cut file has one of its own.

        Returns
        -------
        tuple
            What is kept, its working name, and attempts beyond the first.

        Raises
        ------
        FetchProblem
            The download was stopped, or Harmony's queue is longer than our patience.
        """
        job = self._jobs[key]
        url = self._link(job, offer)
        if url is None:
            self._comes_whole(offer, job.why or "Harmony gave no result for it")
            return None
        if _name_of(url) == offer.name:
            self._comes_whole(offer, "Harmony gives it whole")
            return None
        kept = replace(
            offer,
            # another word than the product's: what is refused here closes nothing there
            product=f"{offer.product}, {GATE}",
            url=url,
            size=None,
            checksum="",
            algorithm="",
            box=job.cut.box,
            variables=job.cut.variables,
        )
        cut_part = part.with_name(f"{offer.name}.{job.number}.part")
        try:
            retried = transfer(
                self._sessions,
                kept,
                cut_part,
                policy=self.harmony.policy,
                gate=self.harmony.gate,
                check_url=self._servers.check_url,
            )
            check_cut(cut_part, job.need, job.cut)
        except VadoseError as problem:
            if self.harmony.gate.is_stopped:
                raise
            cut_part.unlink(missing_ok=True)
            found = problem.found if isinstance(problem, FetchProblem) else "a damaged result"
            self._comes_whole(offer, f"the cut file: {found}")
            return None
        with self._lock:
            self._cut[offer.product] += 1
        return replace(kept, product=offer.product), cut_part, retried

    def forget_finished(self, missing: Collection[str]) -> None:
        """Forget jobs of which every granule is here.

        Parameters
        ----------
        missing
            Keys of the files that did not come.
        """
        for job in {id(job): job for job in self._jobs.values()}.values():
            if job.number and not job.keys & set(missing):
                self.manifest.forget_job(job.number)

    @property
    def notes(self) -> list[str]:
        """Say what was cut and what came whole, and why."""
        told = [
            f"{product}: {count} granules were cut to the box at the archive (Harmony)."
            for product, count in self._cut.items()
        ]
        return told + [
            f"{product}: {count} granules came whole: {why}."
            for (product, why), count in self._whole.items()
        ]

    def _comes_whole(self, offer: Offer, why: str) -> None:
        with self._lock:
            self._whole[offer.product, why] += 1

    def _link(self, job: _Job, offer: Offer) -> str | None:
        """Wait until a granule's result is there; None where there will be none."""
        granule = str(offer.asked["granule"])
        gate = self.harmony.gate
        while True:
            gate.wait(offer.product)
            with job.lock:
                if granule in job.links:
                    return job.links[granule]
                if job.problem is not None:
                    raise job.problem
                if job.is_over:
                    return None
                if time.monotonic() >= job.next_time:
                    self._advance(job)
                    continue
                left = job.next_time - time.monotonic()
            gate.rest(max(left, 0.001), offer.product)

    def _advance(self, job: _Job) -> None:
        """Submit a job, or ask how far it is."""
        try:
            if not job.number:
                job.number = self.harmony.submit(
                    job.collection, list(job.offers), job.cut, job.picked
                )
                self.manifest.remember_job(job.number, job.collection, job.cut, list(job.offers))
            else:
                self._ask(job)
        except NoAnswer as problem:
            if job.number and problem.status in (404, 410):
                self._begin_anew(job, "Harmony has forgotten a job")
            else:
                job.is_over, job.why = True, f"Harmony gave {problem.found}"
        except FetchProblem as problem:
            if self.harmony.gate.is_stopped:
                raise
            job.is_over, job.why = True, f"Harmony gave {problem.found}"
        # the first questions come soon, as small jobs take seconds
        pause = min(self.harmony.policy.pause * 2**job.asked, self.harmony.policy.poll)
        job.asked, job.next_time = job.asked + 1, time.monotonic() + pause

    def _ask(self, job: _Job) -> None:
        told = self.harmony.progress(job.number)
        if job.is_remembered and _is_past(told.expires):
            self._begin_anew(job, "the results of a job were thrown away")
            return
        before = (job.percent, len(job.links))
        for url in told.links:
            granule = _granule_of(url, job.offers)
            if granule and granule not in job.links:
                job.links[granule] = url
        job.percent = told.percent
        if (job.percent, len(job.links)) != before:
            job.moved = time.monotonic()
        self.harmony.gate.tell(f"Harmony: {told.state}, {told.percent} %")
        if told.is_over:
            job.is_over = True
            job.why = {
                "failed": f"the job failed ({told.message})",
                "canceled": "the job was cancelled",
            }.get(told.state, "Harmony could not cut it")
        elif told.state in ("paused", "previewing"):
            job.nudges += 1
            if job.nudges > NUDGES:
                job.is_over, job.why = True, f"the job stays {told.state}"
            else:
                with suppress(NoAnswer):  # it may have gone on by itself
                    self.harmony.go_on(job.number, told.state)
        elif time.monotonic() - job.moved > self.harmony.policy.longest_wait:
            job.problem = FetchProblem(
                "Harmony",
                found=f"a job that has not moved for {self.harmony.policy.longest_wait / 3600:.1f} h",
                remedy="It goes on there: run the same command again later, or take whole granules "
                "with --whole.",
            )

    def _begin_anew(self, job: _Job, why: str) -> None:
        """Submit once more what an earlier job was to bring; a second time it comes whole."""
        self.manifest.forget_job(job.number)
        is_second = not job.is_remembered
        job.number, job.links, job.is_remembered = "", {}, False
        if is_second:
            job.is_over, job.why = True, why
            return
        job.picked = _picked(job.need, self.harmony.abilities(job.collection).variables)
        job.cut = job.need.cut if job.picked else Cut(job.need.cut.box)


def _is_large(cut: Cut) -> bool:
    west, south, east, north = cut.box
    return (east - west) * (north - south) > LARGE * 360.0 * 180.0


def _picked(need: Need, offered: frozenset[str]) -> tuple[str, ...]:
    """Name the variables to pick, as Harmony does; none where it lacks one that is needed."""
    names: Names = {}
    for product in need.products:
        names.update(needed(product, ()))
    names = {name: names[name] for name in need.cut.variables if name in names}
    found = []
    for several in names.values():
        hits = [one for one in several if one in offered]
        if not hits:
            return ()
        found.append(hits[0])
    places = [one for product in need.products for one in placing(product) if one in offered]
    return tuple(dict.fromkeys([*found, *places]))


def _name_of(url: str) -> str:
    return unquote(urlsplit(url).path).rpartition("/")[2]


def _plain(text: str) -> str:
    """Keep what services leave of a name: some write others in place of colons and dots."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _granule_of(url: str, offers: dict[str, Offer]) -> str:
    """Find the one granule whose name stands in that of a result; empty for none or several."""
    name = _plain(_name_of(url))
    hits = []
    for granule, offer in offers.items():
        stems = {
            _plain(Path(offer.name).stem),
            _plain(Path(str(offer.asked.get("title", ""))).stem),
        }
        if any(len(stem) >= 8 and stem in name for stem in stems):
            hits.append(granule)
    return hits[0] if len(hits) == 1 else ""


def _is_past(stamp: str) -> bool:
    try:
        when = datetime.fromisoformat(stamp)
    except ValueError:
        return False
    return (when if when.tzinfo else when.replace(tzinfo=UTC)) < datetime.now(UTC)
