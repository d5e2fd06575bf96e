"""What a product takes over a box and a period, from shipped facts alone: files, bytes, what is here, accounts.

Nothing is asked of any server. Where an archive decides (half-orbits, tiles in the sea), numbers are those
that it has at most.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from vadose.errors import FileProblem, RecipeProblem
from vadose.grids import Region
from vadose.products import PRODUCTS
from vadose.products.base import parse_period
from vadose.products.collections import COLLECTIONS, PER_DAY, Collection
from vadose.products.fetching.accounts import has_credentials
from vadose.products.fetching.base import Wanted
from vadose.products.fetching.contents import is_cut
from vadose.products.fetching.cuts import wanted_cut
from vadose.products.fetching.manifest import cuts_in
from vadose.products.fetching.tiles import (
    composites,
    corner,
    degree_tiles,
    each_day,
    modis_tiles,
    months,
)

#: A file among those of a product: its first day, and its tile, month or name.
Key = tuple[date | None, str]
#: Degrees between the points of the Climate Data Store's grids.
SPACING = {"ERA5": 0.25, "ERA5_LAND": 0.1}
#: Kilometres of a degree.
DEGREE = 111.2


@dataclass(frozen=True)
class Planned:
    """Say what a product takes.

    Attributes
    ----------
    wanted
        What was asked.
    collection
        Of the archive; None where the product is its user's own.
    count, size
        Files of all, and bytes; 0 where nobody can tell.
    here, here_size
        Files and bytes that are on the disk already.
    has_account
        Whether credentials are where they belong.
    steps
        What a person must do.
    too_small
        Files on the disk that are cut to a smaller box or to other variables; they are downloaded again.
    may_be_cut
        Whether its archive may cut files to the box, so that sizes may be much less.
    """

    wanted: Wanted
    collection: Collection | None
    count: int
    size: float
    here: int
    here_size: int
    has_account: bool
    steps: tuple[str, ...] = ()
    too_small: int = 0
    may_be_cut: bool = False

    @property
    def is_by_hand(self) -> bool:
        """Tell whether a person must bring the files."""
        return self.collection is None or self.collection.archive == "by_hand"

    @property
    def left(self) -> int:
        """Count the files that are not here yet."""
        return max(0, self.count - self.here)


def plan(wanted: Wanted) -> Planned:
    """Plan a download without asking anyone.

    Raises
    ------
    RecipeProblem
        A product of days without a period, or variables that the archive does not give.
    FileProblem
        A file stands where the folder is to be.
    """
    collection = COLLECTIONS.get(wanted.product)
    pattern = PRODUCTS[wanted.product].pattern if wanted.product in PRODUCTS else "*"
    if collection is None or collection.archive == "by_hand":
        held = [path for path in _files(wanted.folder) if path.match(pattern)]
        return Planned(
            wanted=wanted,
            collection=collection,
            count=0,
            size=0.0,
            here=len(held),
            here_size=sum(path.stat().st_size for path in held),
            has_account=True,
            steps=_steps(wanted, collection, pattern),
        )
    keys = expected(wanted, collection)
    check_place(wanted.folder)
    cuts = cuts_in(wanted.folder)
    least = wanted_cut(wanted.product, wanted.region, wanted.variables)
    found: Counter[Key] = Counter()
    bytes_here, too_small = 0, 0
    for path in _files(wanted.folder):
        if not re.fullmatch(collection.names, path.name):
            continue
        key = key_of(path, wanted.product, collection)
        if key in keys and found[key] < keys[key]:
            cut = cuts.get((path.name, path.stat().st_size))
            if cut is not None and not cut.holds(least):
                too_small += 1
                continue
            found[key] += 1
            bytes_here += path.stat().st_size
    count = sum(keys.values())
    return Planned(
        wanted=wanted,
        collection=collection,
        count=count,
        size=count * size_of_file(wanted, collection),
        here=found.total(),
        here_size=bytes_here,
        has_account=has_credentials(collection.account),
        too_small=too_small,
        may_be_cut=is_cut(wanted.product),
    )


def check_place(folder: Path) -> None:
    """Make sure that a folder is one or can become one, before gigabytes come that have no place.

    Raises
    ------
    FileProblem
    """
    place = folder.absolute()
    while not place.exists() and not place.is_symlink():
        place = place.parent
    if not place.is_dir():
        raise FileProblem(
            place,
            found="a link that leads nowhere" if place.is_symlink() else "a file",
            expected=f"a folder for the files of {folder.name}",
            remedy="Move it away, or choose another folder with --out.",
        )


def _files(folder: Path) -> list[Path]:
    return (
        [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
        if folder.is_dir()
        else []
    )


def _steps(wanted: Wanted, collection: Collection | None, pattern: str) -> tuple[str, ...]:
    period = "of the study" if wanted.period is None else " to ".join(wanted.period)
    box = ", ".join(f"{degree:g}" for degree in wanted.region) + " (west, south, east, north)"
    if collection is None:
        return (
            f"vadose has no facts of where {wanted.product} is to be had.",
            f"Bring files named {pattern} for {box}, {period}, and put them into {wanted.folder}.",
        )
    files = ", ".join(
        name
        for name in (
            "SMsurf_YYYY_GLEAM_v3.8a.nc",
            "SMroot_YYYY_GLEAM_v3.8a.nc",
            "E_YYYY_GLEAM_v3.8a.nc",
        )
        if not wanted.variables or _GLEAM[name.partition("_")[0]] in wanted.variables
    )
    fills = {"folder": wanted.folder, "box": box, "period": period, "files": files}
    return tuple(step.format(**fills) for step in collection.steps)


_GLEAM = {"SMsurf": "soil_moisture", "SMroot": "root_zone_soil_moisture", "E": "evaporation"}


def period_of(wanted: Wanted) -> tuple[date, date]:
    """Give the first and last day that are asked for.

    Raises
    ------
    RecipeProblem
    """
    if wanted.period is None:
        raise RecipeProblem(
            f"source {wanted.product}",
            found="no period",
            expected="a first and a last day to download",
            remedy="Add period: to the recipe (build: period).",
        )
    return parse_period(wanted.period)


def theirs(wanted: Wanted, collection: Collection) -> dict[str, str]:
    """Give the archive's names of the variables that are wanted.

    Raises
    ------
    RecipeProblem
        The archive does not give one.
    """
    names = wanted.variables or tuple(collection.variables)
    elsewhere = [name for name in names if name in collection.elsewhere]
    if elsewhere:
        raise RecipeProblem(
            f"source {wanted.product}",
            found=f"variable {elsewhere[0]}, which its archive does not give",
            remedy=f"Take it off the source, or bring it: {collection.elsewhere[elsewhere[0]]}.",
        )
    missing = [name for name in names if name not in collection.variables]
    if missing:
        raise RecipeProblem(
            f"source {wanted.product}",
            found=f"variable {', '.join(missing)}, which is not downloaded by itself",
            expected=f"one of {', '.join(sorted(collection.variables))}",
            remedy="Take it off the source, or bring its files yourself.",
        )
    files = {name: collection.variables[name] for name in names}
    for file, layers in collection.together.items():
        if file in files.values():  # which has the layer that another file would bring once more
            files = {name: file if one in layers else one for name, one in files.items()}
    return files


def expected(wanted: Wanted, collection: Collection) -> dict[Key, int]:
    """List the files that an archive has at most, and how many of each kind."""
    cadence = collection.cadence
    if cadence in PER_DAY:
        return {(day, ""): PER_DAY[cadence] for day in each_day(*period_of(wanted))}
    if cadence == "tile_degree":
        corners = degree_tiles(wanted.region)
        return {(None, corner(*one, "{ns}{lat:02d}{ew}{lon:03d}")): 1 for one in corners}
    if cadence == "month":
        names = theirs(wanted, collection).values()
        wide = [
            f"{name}_{year}-{month:02d}"
            for name in names
            for year, month in months(*period_of(wanted))
        ]
        return {(None, name): 1 for name in wide}
    if cadence == "once":
        return {(None, name): 1 for name in theirs(wanted, collection).values()}
    first, last = period_of(wanted)
    days = {
        "tile_day": lambda: each_day(first, last),
        "tile_16_days": lambda: composites(first, last),
        "tile_year": lambda: [date(year, 1, 1) for year in range(first.year, last.year + 1)],
    }[cadence]()
    return {(day, tile): 1 for day in days for tile in modis_tiles(wanted.region)}


def key_of(path: Path, product: str, collection: Collection) -> Key:
    """Tell which of the expected files one is, by its name."""
    cadence = collection.cadence
    if cadence == "tile_degree":
        hit = re.search(r"([NS]\d\d)(?:_00_)?([EW]\d{3})", path.name)
        return None, hit[1] + hit[2] if hit else ""
    if cadence == "month":
        return None, path.stem
    if cadence == "once":
        return None, path.name.partition("_")[0]
    span = PRODUCTS[product].file_period(path)
    tile = re.search(r"\.(h\d\dv\d\d)\.", path.name)
    return span[0] if span else None, tile[1] if tile else ""


def size_of_file(wanted: Wanted, collection: Collection) -> float:
    """Guess the bytes of one file; what is cut out by the archive goes with the box."""
    west, south, east, north = wanted.region
    if collection.cadence == "month":
        spacing = SPACING[wanted.product.removesuffix("_FLUXES")]
        steps = 30 if collection.short_name.startswith("derived") else 720
        files = set(theirs(wanted, collection).values())
        fields = sum(len(collection.together.get(name, (name,))) for name in files) / len(files)
        return collection.size * fields * steps * (east - west) * (north - south) / spacing**2
    if collection.cadence == "once":
        middle = math.cos(math.radians((south + north) / 2))
        return collection.size * (east - west) * middle * (north - south) * DEGREE**2
    return collection.size


def padded(region: Region, margin: float) -> Region:
    """Widen a box by a margin in degrees.

    Examples
    --------
    >>> padded((179.8, 80, 180, 89.9), 0.5)
    (179.3, 79.5, 180, 90)
    """
    west, south, east, north = region
    return (
        max(west - margin, -180),
        max(south - margin, -90),
        min(east + margin, 180),
        min(north + margin, 90),
    )
