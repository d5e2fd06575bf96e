"""``vadose fetch``: say what a recipe takes from archives, and download it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vadose.cli.recipe import size_of
from vadose.cli.show import bar

if TYPE_CHECKING:
    from vadose.products.fetching import Fetched, Planned, Wanted

#: Exit code where some files did not come.
INCOMPLETE = 3
#: Failures of a product that are shown in full.
SHOWN = 10


def fetch(
    recipe: Annotated[Path, typer.Argument(help="A recipe of a study or a fusion (YAML).")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it takes, without asking any server, and stop.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the products' folders; those of the recipe."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=16, help="Files at a time from each archive.")
    ] = 4,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the archives anew what they have.")
    ] = False,
    collection: Annotated[
        list[str] | None,
        typer.Option(help="PRODUCT=VERSION of a collection, where an archive has moved on."),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Take granules whole, also where the archive can cut them."),
    ] = False,
    crop: Annotated[
        bool,
        typer.Option(
            "--crop", help="Crop granules that came whole to the box and to what is read."
        ),
    ] = False,
) -> None:
    """Download what a recipe needs; what is here stays, and what fails is listed (exit code 3)."""
    from vadose.pipeline.fetching import fetch_recipe, plan_fetch, wanted_of

    wanted = wanted_of(recipe, out=out, versions=collection or [])
    planned = plan_fetch(wanted)
    if not planned:
        typer.echo("The recipe names no product of an archive: its files are its user's own.")
        return
    show_plan(planned, whole=whole)
    if plan:
        return
    try:
        with bar("Downloading") as step:
            told = fetch_recipe(
                wanted, workers=workers, refresh=refresh, whole=whole, crop=crop, progress=step
            )
    except KeyboardInterrupt:
        show_stopped(wanted)
        raise
    show_fetched(told, recipe)
    if told.failures:
        raise typer.Exit(INCOMPLETE)


def show_plan(planned: Sequence[Planned], *, whole: bool = False) -> None:
    """Show what it takes, which accounts are needed, and what a person must do."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title="To download",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption="files and sizes are at most, from shipped facts; nothing was asked of any server",
    )
    table.add_column("product", no_wrap=True, min_width=14)
    table.add_column("period", no_wrap=True, min_width=10)
    for column in ("files (here)", "size", "left"):  # numbers are never cut
        table.add_column(column, justify="right", no_wrap=True, min_width=6)
    table.add_column("account", overflow="fold")
    total = 0.0
    for row in planned:
        left = row.size * row.left / row.count if row.count else 0.0
        total += left
        table.add_row(
            row.wanted.product,
            "-" if row.wanted.period is None else "\n".join(row.wanted.period),
            f"? ({row.here})" if row.is_by_hand else f"{row.count} ({row.here})",
            "?" if row.is_by_hand else size_of(row.size),
            "by hand" if row.is_by_hand else size_of(left),
            _account(row),
        )
    console = Console()
    console.print(table)
    _show_collections(planned)
    boxes = dict.fromkeys(row.wanted.region for row in planned)
    for box in boxes:
        products = ", ".join(row.wanted.product for row in planned if row.wanted.region == box)
        typer.echo(f"Box {', '.join(f'{one:g}' for one in box)}: {products}")
    _show_cuts(planned, whole=whole)
    typer.echo(f"Left to download: about {size_of(total)}; {_free(planned, total)}")
    _show_accounts(planned)
    _show_steps(planned)


def _show_collections(planned: Sequence[Planned]) -> None:
    """Say what the archives call the products: names too long for a column."""
    for row in planned:
        if row.collection is not None:
            version = row.wanted.version or row.collection.version
            typer.echo(f"{row.wanted.product}: {row.collection.short_name} {version}".strip())


def _show_cuts(planned: Sequence[Planned], *, whole: bool) -> None:
    """Say which sizes may be less, and which files are here and cut to less than is wanted."""
    cut = [row.wanted.product for row in planned if row.may_be_cut and row.left]
    if cut and not whole:
        typer.echo(
            f"{', '.join(cut)}: sizes are of whole granules; where the archive (Harmony) can cut them to the box, "
            "they are much less. --crop cuts here what comes whole."
        )
    for row in planned:
        if row.too_small:
            typer.echo(
                f"{row.wanted.product}: {row.too_small} files are here and cut to a smaller box or other "
                "variables; they are downloaded again."
            )


def _free(planned: Sequence[Planned], total: float) -> str:
    """Say how much room there is, disk by disk."""
    places = {}
    for row in planned:
        place = row.wanted.folder.absolute()
        while not place.exists():
            place = place.parent
        places[place.stat().st_dev] = shutil.disk_usage(place).free
    words = " and ".join(size_of(free) for free in places.values())
    is_short = sum(places.values()) < total
    return f"{words} are free there" + (": NOT ENOUGH ROOM." if is_short else ".")


def _account(row: Planned) -> str:
    if row.is_by_hand:
        return "see below"
    if row.collection is None or not row.collection.account:
        return "none"
    return "found" if row.has_account else "MISSING, see below"


def _show_accounts(planned: Sequence[Planned]) -> None:
    from vadose.products.fetching.accounts import ACCOUNTS, complaint

    missing = {
        row.collection.account: row.has_account
        for row in planned
        if row.collection is not None and row.collection.account
    }
    for name, is_there in missing.items():
        account = ACCOUNTS[name]
        state = "credentials are in place" if is_there else "no credentials found"
        typer.echo(f"\nAccount: {account.title} ({state})")
        if not is_there:
            typer.echo(f"  Register: {account.register}")
            typer.echo(f"  Credentials go into {account.where}")
        if wrong := complaint(name):
            typer.echo(f"  Mind: {wrong}")
        pages = {
            row.collection.page
            for row in planned
            if row.collection is not None and row.collection.account == name
        }
        typer.echo(f"  Terms: {', '.join(sorted(pages))}")


def _show_steps(planned: Sequence[Planned]) -> None:
    for row in planned:
        if not row.is_by_hand:
            continue
        facts = row.collection
        page = "" if facts is None else f" ({facts.page})"
        typer.echo(f"\nBy hand: {row.wanted.product}{page}; {row.here} files are here")
        for count, step in enumerate(row.steps, start=1):
            typer.echo(f"  {count}. {step}")


def show_stopped(wanted: Sequence[Wanted]) -> None:
    """Say what a stop has left at archives."""
    from vadose.products.fetching.tasks import WORK
    from vadose.products.fetching.tickets import count_waiting

    waiting = count_waiting(dict.fromkeys(one.folder.parent / WORK for one in wanted))
    typer.echo("What has come is kept.")
    if waiting:
        words = "1 request stays" if waiting == 1 else f"{waiting} requests stay"
        typer.echo(
            f"{words} in the queue of the Climate Data Store; the same command goes on with it."
        )


def show_fetched(told: Fetched, recipe: Path) -> None:
    """Show what came, and one list of what did not."""
    typer.echo(
        f"{told.files} files are new ({size_of(told.bytes)}), {told.kept} were here"
        + (f", {told.absent} do not exist (sea)" if told.absent else "")
        + (f"; {told.retried} attempts were repeated" if told.retried else "")
        + "."
    )
    for note in told.notes:
        typer.echo(f"Note: {note}")
    products: dict[str, dict[str, None]] = {}
    for (
        failure
    ) in told.failures:  # what stops an archive stops several products with the same words
        products.setdefault(f"{failure.problem}", {})[failure.product] = None
    by_product: dict[str, list[str]] = {}
    for failure in told.failures:
        text = f"{failure.problem}"
        by_product.setdefault(", ".join(products[text]), []).append(text)
    if told.failures:
        typer.echo(f"Failed ({len(told.failures)}):")
    for product, texts in by_product.items():
        for text, count in _counted(texts)[:SHOWN]:
            typer.echo(f"  - {product}: {text}" + (f" ({count} times)" if count > 1 else ""))
        if len(_counted(texts)) > SHOWN:
            typer.echo(f"  - {product}: {len(_counted(texts)) - SHOWN} more")
    if told.failures:
        rest = "The rest is here. " if told.files + told.kept else ""
        typer.echo(f"{rest}Run the same command again: it goes on where it was.")
    else:
        typer.echo(f"Next: vadose recipe check {recipe}")


def _counted(texts: Sequence[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    return list(counts.items())
