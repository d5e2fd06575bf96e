"""Files to take: what archives offer of what is wanted, less what is here and holds enough."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from vadose.errors import FileProblem
from vadose.grids import Region
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching.base import FetchProblem, Offer, Wanted, checked_name
from vadose.products.fetching.contents import is_cut
from vadose.products.fetching.cuts import Cut, Need, remembered_cut, wanted_cut
from vadose.products.fetching.gate import Gate
from vadose.products.fetching.manifest import Manifest
from vadose.products.fetching.planning import check_place

#: Folder beside the products' for what is half done; no reader looks into it.
WORK = ".fetching"
#: Archives that make a file for the box that they are asked for.
MAKERS = ("climate_store", "soil")
#: Days after which an archive adds no more files to a day.
SETTLED = timedelta(days=90)


class Archive(Protocol):
    """Offer files and download them.

    The classes of this package do; a server of one's own needs these names and no more.
    """

    workers: int
    gate: Gate
    refused: list[FetchProblem]

    def offers(self, wanted: Wanted) -> list[Offer]:
        """List the files of a product; what was refused of them stands in `refused`."""

    def get(self, offer: Offer, part: Path) -> int:
        """Write a file under its working name, verified; gives the attempts beyond the first."""

    def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True)
class Task:
    """A file to take.

    Attributes
    ----------
    archive, offer
        From whom, and what.
    folder
        Where it goes.
    need
        What it must hold, and for which products.
    """

    archive: Archive
    offer: Offer
    folder: Path
    need: Need

    @property
    def target(self) -> Path:
        """Give the file's own name."""
        return self.folder / self.offer.name

    @property
    def key(self) -> str:
        """Give its name in the manifest."""
        return f"{self.folder.name}/{self.offer.name}"

    @property
    def part(self) -> Path:
        """Give its working name."""
        return self.folder.parent / WORK / self.folder.name / f"{self.offer.name}.part"


@dataclass
class Found:
    """Say what there is of a product: what to take, what is here, and what was refused of it."""

    tasks: list[Task]
    kept: int
    absent: int
    problems: list[tuple[str, FileProblem | FetchProblem]]


def needs_of(wanted: Iterable[Wanted]) -> list[Need]:
    """Say what files must hold, for each that is wanted: where products read the same files, for all of them.

    Examples
    --------
    >>> box, days = (146.0, -36.0, 149.0, -33.0), ("2019-12-01", "2019-12-01")
    >>> both = [Wanted(name, Path("data/GLDAS"), box, days) for name in ("GLDAS_NOAH", "GLDAS_NOAH_FLUXES")]
    >>> need = needs_of(both)[0]
    >>> need.products, "Evap_tavg" in need.cut.variables, "SWE_inst" in need.cut.variables
    (('GLDAS_NOAH', 'GLDAS_NOAH_FLUXES'), True, True)
    """
    several = list(wanted)
    own = [
        Need(wanted_cut(one.product, one.region, one.variables), {one.product: one.variables})
        for one in several
    ]
    # what an archive makes for one box cannot be asked for over several
    keys = [
        (one.folder, COLLECTIONS[one.product].short_name) if is_cut(one.product) else count
        for count, one in enumerate(several)
    ]
    joined: dict[object, Need] = {}
    for key, need in zip(keys, own, strict=True):
        joined[key] = joined[key].joined(need) if key in joined else need
    return [joined[key] for key in keys]


def find_tasks(
    wanted: Wanted, archive: Archive, manifest: Manifest, need: Need, *, refresh: bool
) -> Found:
    """Find out what there is, and leave out what is here and holds enough.

    Raises
    ------
    VadoseError
        The archive does not say what it has.
    """
    check_place(wanted.folder)
    collection = COLLECTIONS[wanted.product]
    key = _search_key(wanted)
    offers = None if refresh else manifest.offers.get(key)
    found = Found([], 0, 0, [])
    if offers is None:
        offers = archive.offers(_for_all(wanted, manifest, need))
        found.problems += [(str(one.subject), one) for one in archive.refused]
        # an address with a query may be signed: it is no fact for a manifest
        is_plain = not archive.refused and not any("?" in offer.url for offer in offers)
        if collection.archive == "earthdata" and _is_settled(wanted) and is_plain:
            manifest.remember_search(key, offers)
    for offer in offers:
        task = Task(archive, offer, wanted.folder, need)
        try:  # also those of a manifest that somebody else wrote
            checked_name(offer.name, collection.names, source=collection.short_name)
        except FileProblem as problem:
            found.problems.append(("?", problem))
            continue
        row = manifest.files.get(task.key, {})
        if is_here(task.target, offer, row, need):
            found.kept += 1
        elif task.key in manifest.absent and not refresh:
            found.absent += 1
        else:
            found.tasks.append(_widened(task, row))
    return found


def is_here(target: Path, offer: Offer, row: Mapping[str, Any], need: Need) -> bool:
    """Tell whether a file is on the disk: of the size that it has or had, and with what is needed.

    Parameters
    ----------
    target
        Where it would be.
    offer
        What the archive says of it.
    row
        What the manifest says of it.
    need
        What it must hold.
    """
    if not target.is_file():
        return False
    held, cut = target.stat().st_size, _cut_of(row)
    if cut is not None and held == row.get("size"):
        return cut.holds(need.cut)
    # the archive states the size of the whole; somebody may have put that in the place of the part
    remembered = row.get("size")
    stated = remembered if offer.size is None else offer.size
    return held > 0 and (stated is None or held == stated)


def _widened(task: Task, row: Mapping[str, Any]) -> Task:
    """Ask for what a file holds already too: recipes that share a folder would take turns otherwise."""
    cut = _cut_of(row)
    if cut is None or not task.target.is_file() or not is_cut(task.offer.product):
        return task
    return replace(task, need=replace(task.need, cut=task.need.cut.joined(cut)))


def _for_all(wanted: Wanted, manifest: Manifest, need: Need) -> Wanted:
    """Have files made for a box that suits all who read them, and holds what those here hold, for the same reason."""
    cut = need.cut
    if COLLECTIONS[wanted.product].archive not in MAKERS:
        return wanted
    for key, row in manifest.files.items():
        held = _cut_of(row)
        is_ours = key.startswith(f"{wanted.folder.name}/") and row.get("product") == wanted.product
        if held is not None and is_ours and (wanted.folder.parent / key).is_file():
            both = cut.joined(held)
            if _size(both.box) <= 2 * (_size(cut.box) + _size(held.box)):  # or they lie apart
                cut = both
    return replace(wanted, region=cut.box)


def _size(box: Region) -> float:
    west, south, east, north = box
    return (east - west) * (north - south)


def _cut_of(row: Mapping[str, Any]) -> Cut | None:
    try:
        return remembered_cut(row)
    except (TypeError, ValueError):  # a manifest that somebody else wrote
        return None


def _search_key(wanted: Wanted) -> str:
    """Name a search by what is asked, not by where files go."""
    collection = COLLECTIONS[wanted.product]
    asked = [wanted.product, collection.short_name, wanted.version or collection.version]
    text = json.dumps([*asked, list(wanted.region), wanted.period, sorted(wanted.variables)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_settled(wanted: Wanted) -> bool:
    if wanted.period is None:
        return True
    last = date.fromisoformat(wanted.period[1][:10])
    return datetime.now(UTC).date() - last > SETTLED
