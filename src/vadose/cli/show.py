"""What the command line shows: plans, explanations, alignment and fusion, and bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer


def show_plan(planned: Sequence[Any]) -> None:
    """Show how stores are to be made."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title="The plan",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption="by: so many at a time; read, write: GB before compression; GB: memory",
    )
    table.add_column("store", no_wrap=True, min_width=12, max_width=24)
    for column in ("tiles", "of cells", "by", "read", "write", "GB", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    total = 0.0
    for each in planned:
        cost = each.cost
        total += cost.seconds or 0.0
        table.add_row(
            each.title,
            f"{len(cost.tiling)}",
            "x".join(str(size) for size in cost.tiling.shape.values()),
            f"{cost.workers}",
            f"{cost.read / 1e9:.2f}",
            f"{cost.write / 1e9:.2f}",
            f"{cost.memory / 1e9:.2f}",
            _duration(cost.seconds),
        )
    Console(stderr=True).print(table)
    typer.echo(f"About {_duration(total)} in all.", err=True)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"


def show_explanation(run: Path) -> None:
    """Show what matters to a model, and the verdict on its scales."""
    import json

    from rich.console import Console
    from rich.table import Table

    path = run / "explanation/explanation.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    names = [scale["name"] for scale in found["scales"]]
    totals = {(row["scale"], row["group"]): row["total"] for row in found["sensitivity"]}
    growth = {
        row["group"]: row["value"]
        for row in reversed(found["importances"])
        if row["measure"] == "permutation"
    }
    table = Table(
        title=f"{found['method_title']}: share of the variance of its predictions",
        caption=f"shuffled: growth of the RMSE at {names[0]}, judged on {found['skill'][0]['where']}",
    )
    table.add_column("group of features", max_width=34)
    for name in (*names, "shuffled"):
        table.add_column(name, justify="right", no_wrap=True, min_width=5)
    table.add_column("relation", no_wrap=True)
    styles = {"does not hold": "red", "cannot be told": "dim"}
    changes = found["comparisons"][-1]["changes"]
    for row in sorted(changes, key=lambda one: -max(one["before"], one["after"])):
        group = row["group"]
        table.add_row(
            group.replace("_", " "),
            *(number(totals[name, group], ".2f") for name in names),
            number(growth[group], "+.4f"),
            row["answer"],
            style=styles.get(row["answer"], ""),
        )
    Console().print(table)
    for text in (found["comparisons"][-1]["verdict"], *found["notes"]):
        typer.echo(text)


def show_alignment(run: Path) -> None:
    """Tell what happened to every variable, where sources were brought onto the grids."""
    import json

    for row in json.loads((run / "alignment.json").read_text(encoding="utf-8")):
        typer.echo(
            f"{row['variable']} ({row['source']}, {row['files']} files): {row['regridding']}; "
            f"{number(row['valid_after'], '.0%')} of values valid, mean "
            f"{number(row['mean_before'], '.4g')} -> {number(row['mean_after'], '.4g')} "
            f"{row['units_after']}. {row['remark']}"
        )


def number(value: float | None, form: str) -> str:
    """Write a number, or a dash where there is none."""
    return "-" if value is None else format(value, form)


@contextmanager
def bar(words: str) -> Iterator[Callable[..., None]]:
    """Show a progress bar on the error stream."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description:<44}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task(words, total=None, note="")

        def step(done: int, total: int, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=note)

        yield step
        progress.update(task, completed=1, total=1, note="")


def show_fusion(folder: Path) -> None:
    """Show how good every filler was on hidden values, and what the record is made of."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from vadose.pipeline.fusion import read_told

    told, _ = read_told(folder)
    hidden = told["hidden"]
    table = Table(
        title=f"On {hidden['values']:,} hidden values ({hidden['share']:.0%})",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption="m3 m-3; hidden under gaps of other days; own gaps: as old as those of the record",
    )
    table.add_column("filled by", no_wrap=True)
    for column in ("own gaps", "RMSE", "95 %", "ubRMSE", "R", "s"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in told["scores"]:
        is_taken = row["filler"] == told["method"]
        table.add_row(
            row["filler"] + (" *" if is_taken else ""),
            f"{row['expected_rmse']:.4f}",
            f"{row['rmse']:.4f}",
            f"{row['rmse_lower']:.4f}-{row['rmse_upper']:.4f}",
            f"{row['ubrmse']:.4f}",
            f"{row['r']:.3f}",
            f"{row['seconds']:.0f}",
            style="bold" if is_taken else None,
        )
    Console().print(table)
    counts = {name: count for name, count in told["origin"].items() if count}
    total = sum(counts.values())
    shares = ", ".join(f"{name} {count / total:.1%}" for name, count in counts.items())
    interval = told["interval"]
    typer.echo(f"Filled by {told['method']}: {shares}.")
    if interval["coverage"] is not None:
        typer.echo(
            f"Intervals of {interval['level']:.0%} cover {interval['coverage']:.0%} of hidden values "
            "they were not learned from."
        )
    if "stations" in told:
        judged = told["stations"]
        for days in ("observed", "filled"):
            ours, model = (judged["median"][name][days] for name in ("fused", "land model"))
            typer.echo(
                f"At {judged['stations']} stations, {days} days: ubRMSE {ours['ubrmse']:.4f}, R {ours['r']:.3f} "
                f"(land model {model['ubrmse']:.4f}, {model['r']:.3f}); medians."
            )
    if (folder / "fused.nc").is_file():
        typer.echo(f"Product: {folder / 'fused.nc'}")
