"""From a recipe to what has to be downloaded, and into which folders."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from vadose.config import read_recipe
from vadose.config.build import Source, Stations
from vadose.config.fusion import read_fusion
from vadose.errors import RecipeProblem, UnknownName, need
from vadose.grids import Region
from vadose.pipeline.fusion import is_fusion
from vadose.pipeline.recipes import earlier
from vadose.pipeline.sources import product_of
from vadose.products.base import Period
from vadose.products.fetching import Fetched, Planned, Policy, Servers, Wanted, fetch, plan
from vadose.products.fetching.planning import padded
from vadose.products.fetching.running import Progress

#: Degrees by which predictors reach beyond the box: a coarse cell and more.
MARGIN = 0.5
GLOBE = (-180.0, -90.0, 180.0, 90.0)


def wanted_of(
    recipe: str | Path, *, out: Path | None = None, versions: Sequence[str] = ()
) -> list[Wanted]:
    """List what a recipe of a study or of a fusion needs from archives.

    Parameters
    ----------
    recipe
        A YAML file.
    out
        Folder for the products' folders; those that the recipe names unless given.
    versions
        ``PRODUCT=VERSION``, where an archive has moved on.

    Raises
    ------
    FileProblem, RecipeProblem
    """
    path = Path(recipe)
    named = _versions(versions)
    if is_fusion(path):
        fusion = read_fusion(path)
        sources = [fusion.satellite, fusion.model, *fusion.context]
        places = [(one, fusion.region, fusion.period) for one in sources]
        stations, region, period = fusion.stations, fusion.region, fusion.period
    else:
        study = read_recipe(path)
        region, period, stations = study.build.region, study.build.period, study.stations
        before = None if period is None else earlier(period, study.predictors)
        places = [
            (one, region, period if one.use == "target" else before) for one in study.build.sources
        ]
    wanted = []
    for count, (source, box, days) in enumerate(places):
        if source.describe is None and source.points is None and source.product != "SAMPLE":
            is_first = source.use == "target" or (is_fusion(path) and count == 0)
            around = padded(box or GLOBE, 0.0 if is_first else MARGIN)
            one = _wanted(source, around, days, path.parent, out, named)
            wanted.append(one)
    if stations is not None and stations.kind == "ismn":
        wanted.append(_of_stations(stations, region or GLOBE, period, path.parent, out))
    return wanted


def _wanted(
    source: Source,
    region: Region,
    period: Period | None,
    origin: Path,
    out: Path | None,
    versions: dict[str, str],
) -> Wanted:
    folder = out / source.product if out is not None else _folder(source.paths, origin)
    taken = source.variables or []
    product = product_of(source)
    for name in taken:
        if (
            name not in product.variables
        ):  # left out, it would mean all variables, and gigabytes more
            raise UnknownName(f"variable of source {source.product}", name, product.variables)
    return Wanted(
        product=source.product,
        folder=folder or origin / "data" / source.product,
        region=region,
        # what does not change has no period
        period=None if "tatic" in product.time_meaning else period,
        variables=tuple(name for name in taken if name != "quality"),
        version=versions.get(source.product),
    )


def _of_stations(
    stations: Stations, region: Region, period: Period | None, origin: Path, out: Path | None
) -> Wanted:
    folder = out / "ISMN" if out is not None else _folder(stations.paths, origin)
    return Wanted("ISMN", folder or origin / "data/ISMN", region, period)


def _folder(paths: Sequence[str], origin: Path) -> Path | None:
    """Find the folder that a source's first path means: itself, or what holds the files that it names."""
    if not paths:
        return None
    path = Path(paths[0])
    while glob.has_magic(path.name) or path.suffix:
        path = path.parent
    return origin / path


def _versions(pairs: Sequence[str]) -> dict[str, str]:
    from vadose.products.collections import COLLECTIONS

    versions = {}
    for pair in pairs:
        name, sign, version = pair.partition("=")
        if not (name and sign and version):
            raise RecipeProblem("--collection", found=repr(pair), expected="PRODUCT=VERSION")
        if name not in COLLECTIONS:
            raise UnknownName("product (in --collection)", name, COLLECTIONS)
        if COLLECTIONS[name].archive != "earthdata":
            raise RecipeProblem(
                "--collection",
                found=f"{name}, whose archive is asked for no version",
                expected="a product of NASA Earthdata",
                remedy="Leave it out.",
            )
        versions[name] = version
    return versions


def plan_fetch(wanted: Sequence[Wanted]) -> list[Planned]:
    """Plan a download without asking any server."""
    return [plan(one) for one in wanted]


def fetch_recipe(
    wanted: Sequence[Wanted],
    *,
    workers: int = 4,
    refresh: bool = False,
    whole: bool = False,
    crop: bool = False,
    servers: Servers | None = None,
    policy: Policy | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Download what is not here yet.

    Parameters
    ----------
    wanted
        Of a recipe.
    workers
        Files at a time from each archive.
    refresh
        Whether to ask archives anew what they have.
    whole
        Whether to take granules whole also where the archive can cut them to the box.
    crop
        Whether to crop what came whole.
    servers, policy
        Other than the archives and the usual patience.
    progress
        Told after each file.

    Raises
    ------
    MissingExtra
        Without the libraries of the extra ``access``.
    """
    need("requests", extra="access")
    how = policy or Policy(workers=workers)
    return fetch(
        wanted,
        servers=servers,
        policy=how,
        refresh=refresh,
        whole=whole,
        crop=crop,
        progress=progress,
    )
