"""Granules that Harmony cuts: which job a granule belongs to, when its result is there, and how it is taken.

Granules are asked for in batches. A job is remembered in the manifest the moment it has a number, so that a
run that was stopped goes on with it. Whatever fails on this way makes a granule come whole, and is told.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from vadose.errors import VadoseError
from vadose.products.fetching.base import Offer
from vadose.products.fetching.contents import is_cut
from vadose.products.fetching.cuts import Cut, Need, remembered_cut
from vadose.products.fetching.extents import check_cut
from vadose.products.fetching.harmony import CONCEPT, GATE, JOB, Harmony
from vadose.products.fetching.jobs import Job, cut_of, name_of
from vadose.products.fetching.manifest import Manifest
from vadose.products.fetching.servers import Servers
from vadose.products.fetching.transfer import Sessions, transfer

#: Granules of a job.
BATCH = 200
#: Share of the globe beyond which a box is not worth a job.
LARGE = 0.5


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
        self._jobs: dict[str, Job] = {}
        self._after: dict[int, Job] = {}
        self._last: Job | None = None
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
            cut, _ = cut_of(need, can.variables)
            left = list(self._remembered(collection, several, cut, need).items())
            for start in range(0, len(left), BATCH):
                self._put(Job(collection, need), dict(left[start : start + BATCH]))
            added |= set(several)
        return added

    def _put(self, job: Job, offers: Mapping[str, Offer]) -> None:
        job.offers = {str(offer.asked["granule"]): offer for offer in offers.values()}
        job.keys = frozenset(offers)
        if self._last is not None:
            self._after[id(self._last)] = job
        self._last = job
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
                job = Job(collection, need, number=number, is_remembered=True, cut=held)
                self._put(job, batch)
                left = {key: one for key, one in left.items() if key not in batch}
        return left

    def start(self) -> None:
        """Submit the first jobs, so that the archive is at work while other files come."""
        for job in list(self._jobs.values())[:1]:
            with job.lock:
                if job.is_waiting:
                    job.advance(self.harmony, self.manifest)
            self._submit_next(job)

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
        if url is None or job.cut is None:
            self._comes_whole(offer, job.why or "Harmony gave no result for it")
            return None
        if name_of(url) == offer.name:
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
            self._comes_whole(offer, f"the cut file: {problem.found}")
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
            f"{product}: {_granules(count)} cut to the box at the archive (Harmony)."
            for product, count in self._cut.items()
        ]
        return told + [
            f"{product}: {_granules(count)} whole: {why}."
            for (product, why), count in self._whole.items()
        ]

    def _comes_whole(self, offer: Offer, why: str) -> None:
        with self._lock:
            self._whole[offer.product, why] += 1

    def _link(self, job: Job, offer: Offer) -> str | None:
        """Wait until a granule's result is there; None where there will be none."""
        granule = str(offer.asked["granule"])
        gate = self.harmony.gate
        while True:
            gate.wait(offer.product)
            self._submit_next(job)
            with job.lock:
                if granule in job.links:
                    return job.links[granule]
                if job.problem is not None:
                    raise job.problem
                if job.is_over:
                    return None
                if time.monotonic() >= job.next_time:
                    job.advance(self.harmony, self.manifest)
                    continue
                left = job.next_time - time.monotonic()
            gate.rest(max(left, 0.001), offer.product)

    def _submit_next(self, job: Job) -> None:
        """Submit the job after one that was submitted, so that the archive never waits for us: two at a time."""
        after = self._after.get(id(job))
        if not job.number or after is None or not after.is_waiting:
            return
        if after.lock.acquire(blocking=False):
            try:
                if after.is_waiting:
                    after.advance(self.harmony, self.manifest)
            finally:
                after.lock.release()


def _granules(count: int) -> str:
    return f"{count} granule{'s' if count > 1 else ''} came"


def _is_large(cut: Cut) -> bool:
    west, south, east, north = cut.box
    return (east - west) * (north - south) > LARGE * 360.0 * 180.0
