"""``vadose recipe``: write a recipe to begin with, and say what one lacks on the disk."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vadose.grids import Region
    from vadose.pipeline.recipes import RecipeCheck

app = typer.Typer(
    help="Write a recipe to begin with, and check one before it runs.", no_args_is_help=True
)
#: Columns of the terminal that a table needs beside the places of files, and the fewest for these.
OTHERS, NARROWEST = 44, 24
#: Exit code where something is missing, as for any bad input.
MISSING = 2


@app.command()
def new(
    region: Annotated[
        tuple[str, str, str, str],
        typer.Option(
            metavar="W S E N",
            help="West, south, east, north in degrees.",
            callback=lambda words: words if _box(words) else None,
        ),
    ],
    period: Annotated[
        tuple[str, str],
        typer.Option(metavar="FIRST LAST", help="First and last day, YYYY-MM-DD."),
    ],
    out: Annotated[Path, typer.Option(help="The recipe to write.")],
    product: Annotated[str, typer.Option(help="What is downscaled.")] = "SPL3SMP_E",
    model: Annotated[str, typer.Option(help="What learns.")] = "random_forest",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
) -> None:
    """Write a commented recipe for a region, period, product and model."""
    from vadose.pipeline.recipes import new_recipe

    path = new_recipe(
        _box(region), period, product=product, model=model, out=out, overwrite=overwrite
    )
    typer.echo(f"Wrote {path}. Next: vadose fetch {path} --plan")


def _box(words: Sequence[str]) -> Region:
    """Read four numbers; where one was forgotten, an option's name stands among them."""
    from vadose.errors import ValueProblem

    try:
        west, south, east, north = map(float, words)
    except ValueError as error:
        raise ValueProblem(
            "--region", found=" ".join(words), expected="four numbers: west, south, east, north"
        ) from error
    return west, south, east, north


@app.command()
def check(
    recipe: Annotated[Path, typer.Argument(help="A recipe of a study or a fusion (YAML).")],
) -> None:
    """Say what a recipe lacks on the disk, before anything runs; exit code 2 if anything."""
    from vadose.pipeline.recipes import check_recipe

    found = check_recipe(recipe)
    show_check(found, recipe.parent)
    _show_partial(found, recipe)
    if not found.is_complete:
        _show_ways(found, recipe)
        raise typer.Exit(MISSING)
    place = {"run": "RUN", "fuse": "FOLDER"}[found.verb]
    typer.echo(f"All is there. Next: vadose {found.verb} {recipe} --out {place}")


def show_check(found: RecipeCheck, origin: Path) -> None:
    """Show what is on the disk, and one list of what is not; places are told as seen from `origin`."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(
        title=found.title,
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption="places are as seen from the folder of the recipe",
    )
    table.add_column("source, and where", no_wrap=True)
    table.add_column("as", no_wrap=True)
    for column in ("files", "size"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("days named", no_wrap=True)
    room = max(console.width - OTHERS, NARROWEST)
    for row in found.sources:
        days = "" if row.first is None else f"{row.first}\n{row.last}"
        places = [line for path in row.paths for line in folded(_seen_from(origin, path), room - 2)]
        table.add_row(
            "\n".join([row.product, *(f"  {line}" for line in places)]),
            row.use,
            f"{row.count}",
            size_of(row.size),
            days or ("not told" if row.count else "-"),
            style="red" if row.missing else "",
        )
    console.print(table)
    for row in found.sources:
        for note in row.notes:
            typer.echo(f"Note: {note}")
    if not found.is_complete:
        typer.echo(f"Missing ({len(found.missing)}):")
        for text in found.missing:
            typer.echo(f"  - {text}")


def _seen_from(origin: Path, path: Path) -> str:
    """Write a path as seen from a folder, or whole where that is shorter."""
    return min(os.path.relpath(path, origin), str(path.absolute()), key=len)


def folded(path: str, width: int) -> list[str]:
    """Break a path behind its slashes, and a name that is too long where it must be.

    Examples
    --------
    >>> folded("../shared/data/delaware/ESACCI-*.nc", 20)
    ['../shared/data/', 'delaware/ESACCI-*.nc']
    """
    lines = [""]
    for part in re.findall(rf"[^/]{{0,{width - 1}}}/|[^/]{{1,{width}}}", path):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return lines


def _show_partial(found: RecipeCheck, recipe: Path) -> None:
    """Say where there are fewer files than an archive has, of products whose names tell no day."""
    from vadose.errors import VadoseError
    from vadose.pipeline.fetching import plan_fetch, wanted_of

    try:
        planned = {one.wanted.product: one for one in plan_fetch(wanted_of(recipe))}
    except VadoseError:
        return  # a recipe that cannot be planned may be of files from elsewhere
    for row in found.sources:
        one = planned.get(row.product)
        if one is not None and one.too_small:
            typer.echo(
                f"Note: source {row.product}: {one.too_small} files are cut to a smaller box or other variables; "
                f"vadose fetch {recipe} downloads them again."
            )
        if one is None or row.first is not None or not one.here or not one.left:
            continue
        typer.echo(
            f"Note: source {row.product}: {one.here} files of at most {one.count} that the archive has for "
            "the box and period."
        )


def _show_ways(found: RecipeCheck, recipe: Path) -> None:
    """Say what `vadose fetch` can bring of what is missing."""
    from vadose.products.collections import COLLECTIONS

    lacking = dict.fromkeys(row.product for row in found.sources if row.missing)
    ways = {name: COLLECTIONS[name].archive for name in lacking if name in COLLECTIONS}
    brought = [name for name, way in ways.items() if way != "by_hand"]
    by_hand = [name for name, way in ways.items() if way == "by_hand"]
    if brought:
        typer.echo(f"vadose fetch {recipe} downloads {', '.join(brought)}.")
    if by_hand:
        typer.echo(f"vadose fetch {recipe} --plan says how to get {', '.join(by_hand)}.")


def size_of(size: float) -> str:
    """Write bytes for people.

    Examples
    --------
    >>> size_of(512), size_of(2_400_000), size_of(7.3e10)
    ('512 B', '2.4 MB', '73.0 GB')
    """
    for unit, bytes_of in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_of:
            return f"{size / bytes_of:.1f} {unit}"
    return f"{size:.0f} B"
