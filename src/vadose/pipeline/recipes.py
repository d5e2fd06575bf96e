"""Recipes before anything runs: write one to begin with, and say what one lacks on the disk.

Nothing is opened but folders: what a file holds is told where it is read. That every day of the period
has a file is told where file names give their days.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from vadose.config import Recipe
from vadose.config.build import Source, Stations
from vadose.config.fusion import Fusion, read_fusion
from vadose.config.template import recipe_text
from vadose.errors import FileProblem, NoOverlap
from vadose.grids import Region
from vadose.pipeline.fusion import is_fusion
from vadose.pipeline.refusals import read_study, refusals, refusals_of_fusion
from vadose.pipeline.sources import PAST, product_of, source_paths
from vadose.products import PRODUCTS
from vadose.products.base import Period, Product, parse_period
from vadose.products.reach import check_reach

#: Tile of a MODIS file.
TILE = re.compile(r"\.(h\d\dv\d\d)\.")
#: Runs of missing days that are named; the rest is counted.
NAMED = 4
#: Variables that models make for themselves.
MADE = {"longitude", "latitude", "day_of_year", "year"}
#: What a fusion takes of both sources.
FUSED = "soil_moisture"


@dataclass(frozen=True)
class SourceFiles:
    """Tell what is on the disk of one source.

    Attributes
    ----------
    product, use
        Its name, and what it is used for.
    pattern
        Names that its files have.
    paths
        Where they are looked for.
    count, size
        Files, and their bytes.
    first, last
        Days that the names tell; None where they do not.
    missing
        What is lacking, each with its remedy.
    notes
        What may be as it should be, and is worth knowing.
    """

    product: str
    use: str
    pattern: str
    paths: tuple[Path, ...]
    count: int = 0
    size: int = 0
    first: date | None = None
    last: date | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecipeCheck:
    """Tell what a recipe asks for and what of it is there.

    Attributes
    ----------
    title
        Of the recipe.
    verb
        What runs it: ``run`` a study, ``fuse`` a fusion.
    sources
        One row for each source and one for stations.
    problems
        What the recipe itself is refused for, and names that do not fit together, each with its remedy.
    """

    title: str
    verb: str
    sources: tuple[SourceFiles, ...]
    problems: tuple[str, ...] = field(default=())

    @property
    def missing(self) -> list[str]:
        """List all that must be mended before a run."""
        return [*self.problems, *(text for one in self.sources for text in one.missing)]

    @property
    def is_complete(self) -> bool:
        """Tell whether a run can begin."""
        return not self.missing


def new_recipe(
    region: Region,
    period: Period,
    *,
    product: str,
    model: str,
    out: str | Path,
    overwrite: bool = False,
) -> Path:
    """Write a commented recipe to begin with.

    Parameters
    ----------
    region
        West, south, east, north in degrees.
    period
        First and last day, both included.
    product, model
        Names in ``vadose.products.PRODUCTS`` and ``vadose.models.MODELS``.
    out
        The file to write.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    FileProblem
        The file is there, or cannot be written.
    UnknownName, RecipeProblem
    """
    path = Path(out)
    text = recipe_text(region, period, product, model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if overwrite else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise FileProblem(
            path, found="a file", remedy="Name another, or replace it with --overwrite."
        ) from error
    except OSError as error:
        raise FileProblem(
            path, found=f"a file that cannot be written ({error.strerror})"
        ) from error
    return path


def check_recipe(recipe: str | Path) -> RecipeCheck:
    """Say what a recipe of a study or of a fusion lacks, without reading any data.

    Raises
    ------
    FileProblem, RecipeProblem
        The recipe itself cannot be read.
    """
    path = Path(recipe)
    if is_fusion(path):
        return _check_fusion(read_fusion(path), path)
    return _check_study(read_study(path), path)


def _check_study(recipe: Recipe, path: Path) -> RecipeCheck:
    origin = path.parent
    build = recipe.build
    longer = None if build.period is None else earlier(build.period, recipe.predictors)
    rows = [
        source_files(source, origin, build.period if source.use == "target" else longer)
        for source in build.sources
    ]
    if recipe.stations is not None:
        rows.append(station_files(recipe.stations, origin))
    problems = [str(refusal) for refusal in refusals(recipe, path.name)]
    problems += [text for source in build.sources for text in _unknown_variables(source)]
    problems += _target_problems(recipe)
    given = {name for source in build.sources for name in variables_of(source)} | MADE
    for name in recipe.predictors:
        past = PAST.fullmatch(name)
        if name not in given and (past is None or past["base"] not in given):
            problems.append(
                f"predictor {name}: no source gives it. Sources give {', '.join(sorted(given - MADE))}; "
                "add a source, or take it off the predictors."
            )
    return RecipeCheck(recipe.title, "run", tuple(rows), tuple(problems))


def _target_problems(recipe: Recipe) -> list[str]:
    sources = recipe.build.sources
    if not recipe.build.withhold:
        sources = [source for source in sources if source.use == "target"]
    given = {name for source in sources for name in variables_of(source)}
    names = " and ".join(source.product for source in sources)
    return [
        f"target {name}: {names} does not give it, but {', '.join(sorted(given)) or 'nothing'}. "
        "Take another product, or name it (variables, rename)."
        for name in (recipe.target, *recipe.also)
        if name not in given
    ]


def _check_fusion(fusion: Fusion, path: Path) -> RecipeCheck:
    origin = path.parent
    named = [("satellite", fusion.satellite), ("model", fusion.model)]
    named += [("context", source) for source in fusion.context]
    rows = [source_files(source, origin, fusion.period, use=use) for use, source in named]
    problems = [str(refusal) for refusal in refusals_of_fusion(fusion)]
    problems += [text for _, source in named for text in _unknown_variables(source)]
    problems += [
        f"{use} {source.product}: does not give {FUSED}, but "
        f"{', '.join(sorted(variables_of(source))) or 'nothing'}. Name it (variables, rename)."
        for use, source in named[:2]
        if FUSED not in variables_of(source)
    ]
    given = {name for source in fusion.context for name in variables_of(source)}
    if fusion.cover is not None and fusion.cover not in given:
        problems.append(
            f"cover {fusion.cover}: no context gives it. Add a source of it to context."
        )
    if fusion.stations is not None:
        rows.append(station_files(fusion.stations, origin))
    return RecipeCheck(fusion.title, "fuse", tuple(rows), tuple(problems))


def variables_of(source: Source) -> set[str]:
    """Name the variables that a source gives, under their new names."""
    names = set(product_of(source).variables) - {"quality"}
    taken = names if source.variables is None else names & set(source.variables)
    return {source.rename.get(name, name) for name in taken}


def _unknown_variables(source: Source) -> list[str]:
    names = set(product_of(source).variables) - {"quality"}
    asked = [*(source.variables or []), *source.rename]
    return [
        f"source {source.product}: has no variable {name}, but {', '.join(sorted(names))}."
        for name in dict.fromkeys(asked)
        if name not in names
    ]


def source_files(
    source: Source, origin: Path, period: Period | None, use: str | None = None
) -> SourceFiles:
    """Look for the files of a source, and for the days that they cover.

    Parameters
    ----------
    source
        Of a recipe.
    origin
        Folder that relative paths start from.
    period
        Days that it is read for.
    use
        What it is used for; as the source says unless given.
    """
    product = product_of(source)
    use = use or source.use
    paths = source_paths(source, origin)
    where = f"source {source.product}"
    missing: list[str] = []
    found: dict[Path, None] = {}
    if not paths:
        missing.append(f"{where}: no paths. Name the folder of its files.")
    for path in paths:
        hits, fault = look(path, product.pattern)
        found.update(dict.fromkeys(hits))
        if fault:
            missing.append(f"{where}: {fault}")
    sizes = {path: path.stat().st_size for path in found}
    empty = [path.name for path, size in sizes.items() if size == 0]
    if empty:
        missing.append(f"{where}: empty files {_some(empty)}. Delete them and download them again.")
    spans = {path: product.file_period(path) for path in sizes}
    told = [span for span in spans.values() if span is not None]
    days = None if period is None else parse_period(period)
    try:
        check_reach(product, days[0] if days else date.max)
    except NoOverlap as error:
        missing.append(f"source {error}")
    lacks, notes = ([], []) if days is None or not told else _days(product, spans, days, use)
    return SourceFiles(
        product=source.product,
        use=use,
        pattern=product.pattern,
        paths=tuple(paths),
        count=len(sizes),
        size=sum(sizes.values()),
        first=min((span[0] for span in told), default=None),
        last=max((span[1] for span in told), default=None),
        missing=(*missing, *(f"{where}: {text}" for text in lacks)),
        notes=tuple(f"{where}: {text}" for text in notes),
    )


def look(path: Path, pattern: str) -> tuple[list[Path], str]:
    """Find the files that a path stands for, and say what to do if there is none."""
    if path.is_dir():
        hits = sorted(hit for hit in path.rglob(pattern) if hit.is_file())
        return hits, "" if hits else f"{path} has no file named {pattern}. Put them there."
    if path.exists():
        return [path], ""
    if glob.has_magic(str(path)):
        hits = sorted(Path(hit) for hit in glob.glob(str(path), recursive=True))  # noqa: PTH207
        return hits, "" if hits else f"{path} matches no file. Put files of that name there."
    if path.suffix:
        return [], f"{path} does not exist. Put the file there, or mend the path."
    return [], f"{path} does not exist. Make the folder, and put files named {pattern} there."


def _days(
    product: Product,
    spans: dict[Path, tuple[date, date] | None],
    period: tuple[date, date],
    use: str,
) -> tuple[list[str], list[str]]:
    """Compare the days that names tell with those of the period, tile by tile."""
    first, last = period
    tiles: dict[str, set[date]] = {}
    for path, span in spans.items():
        if span is None:
            return [], []  # it may hold any day
        hit = TILE.search(path.name)
        covered = tiles.setdefault(hit[1] if hit else "", set())
        covered.update(_each_day(max(span[0], first), min(span[1], last)))
    wanted = set(_each_day(first, last))
    lacks, notes = [], []
    for tile, covered in sorted(tiles.items()):
        gaps = wanted - covered
        if not gaps:
            continue
        of = f" of tile {tile}" if tile else ""
        text = f"no file{of} for {len(gaps)} of {len(wanted)} days ({_runs(gaps)})"
        is_outage = 2 * len(gaps) < len(wanted) and not {first, last} & gaps
        if (
            use in ("target", "satellite")
            and covered
            and (is_outage or product.name not in PRODUCTS)
        ):
            notes.append(f"{text}: an outage, or files that are missing.")
        else:
            lacks.append(f"{text}. Add files named {product.pattern} of these days.")
    return lacks, notes


def _each_day(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=step) for step in range((last - first).days + 1))


def _runs(days: set[date]) -> str:
    """Write days as runs: ``2019-06-20..2019-07-22``."""
    runs: list[list[date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1][1] = day
        else:
            runs.append([day, day])
    return _some([f"{a}" if a == b else f"{a}..{b}" for a, b in runs])


def _some(names: Sequence[str]) -> str:
    left = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {left} more" if left > 0 else "")


def earlier(period: Period, predictors: Sequence[str]) -> Period:
    """Begin as many days earlier as the predictors look back."""
    pasts = [PAST.fullmatch(name) for name in predictors]
    back = max((int(past["days"]) for past in pasts if past), default=0)
    return str(parse_period(period)[0] - timedelta(days=back)), period[1]


def station_files(stations: Stations, origin: Path) -> SourceFiles:
    """Look for the files of stations."""
    pattern = str(stations.table.get("pattern", "*"))
    paths = [origin / path for path in stations.paths]
    if stations.table.get("coordinates"):
        paths.append(origin / str(stations.table["coordinates"]))
    found: dict[Path, None] = {}
    missing = []
    for path in paths:
        hits, fault = look(path, pattern)
        found.update(dict.fromkeys(hits))
        if fault:
            missing.append(f"stations: {fault}")
    if stations.kind == "table" and not {"depth_from", "depth_to"} <= set(stations.table):
        missing.append("stations: table lacks depth_from and depth_to, the layer of a sensor in m.")
    return SourceFiles(
        product="stations",
        use=stations.kind,
        pattern=pattern,
        paths=tuple(paths),
        count=len(found),
        size=sum(path.stat().st_size for path in found),
        missing=tuple(missing),
    )
