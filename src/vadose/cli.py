"""The command line: one sub-command per verb of `vadose.pipeline`.

Heavy libraries are imported inside the commands, so that ``vadose --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from vadose import __version__
from vadose.errors import VadoseError

app = typer.Typer(
    help="Make, judge and publish high-resolution, gap-free soil moisture.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

#: Exit code after an interrupt.
STOPPED = 130

Out = Annotated[Path, typer.Option("--out", help="Folder of the run.")]
Recipe = Annotated[Path, typer.Argument(help="A recipe (YAML); see examples/.")]
Run = Annotated[Path, typer.Argument(help="Folder of the run.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a run that is there, once the new one is done.")
]

MaxMem = Annotated[str, typer.Option("--max-mem", help="Memory that building the cubes may take.")]


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(out: Out = Path("runs/demo"), overwrite: Overwrite = False) -> None:
    """Downscale the bundled real sample and judge it against a withheld truth."""
    from vadose import pipeline

    _say_what_is_there(out)
    pipeline.demo(out, overwrite=overwrite, progress=_bar)
    _show(out)


@app.command()
def run(recipe: Recipe, out: Out, overwrite: Overwrite = False, max_mem: MaxMem = "4GB") -> None:
    """Do all that a recipe names; a stopped run goes on where it was."""
    from vadose import pipeline

    _say_what_is_there(out)
    pipeline.run(recipe, out, overwrite=overwrite, max_mem=max_mem, progress=_bar)
    _show(out)


@app.command()
def build(recipe: Recipe, out: Out, overwrite: Overwrite = False, max_mem: MaxMem = "4GB") -> None:
    """Make the coarse and fine cubes of a recipe."""
    from vadose import pipeline

    pipeline.build(recipe, out, overwrite=overwrite, max_mem=max_mem, progress=_bar)
    _alignment(out)
    typer.echo(f"Cubes are in {out}. Next: vadose fit {out}")


@app.command()
def fit(run: Run) -> None:
    """Learn from the coarse cube."""
    from vadose import pipeline

    pipeline.fit(run, progress=_bar)
    _held(run)
    typer.echo(f"Models are in {run / 'models'}. Next: vadose downscale {run}")


@app.command()
def downscale(
    run: Run,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show tiles, bytes, memory and time, and stop.")
    ] = False,
    max_mem: Annotated[
        str, typer.Option("--max-mem", help="Memory to stay below; on a cluster, of each worker.")
    ] = "4GB",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Tiles at a time; as many as processors.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler: work on its cluster.")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(min=1, help="Coarse cells along a side; chosen by the memory.")
    ] = None,
    cubes: Annotated[
        str | None, typer.Option(help="Folder or URL of the cubes; the run's own.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Folder or URL for predictions and product; the run's own.")
    ] = None,
) -> None:
    """Predict the fine field tile by tile and write the product; what is finished is kept."""
    from vadose import pipeline
    from vadose.pipeline.downscaling import How

    how = How(max_mem, workers, scheduler, tile, cubes, out)
    if plan:
        _plan(pipeline.plan(run, how=how))
        return
    pipeline.downscale(run, how=how, progress=_bar, tell=_plan)
    if out is not None:
        typer.echo(f"The product is {out.rstrip('/')}/product.zarr.")
        return
    typer.echo(f"The product is in {run}. Next: vadose validate {run}")


@app.command()
def validate(run: Run) -> None:
    """Score every method beside the coarse input."""
    from vadose import pipeline

    pipeline.validate(run, progress=_bar)
    _table(run)
    typer.echo(f"Next: vadose report {run}")


@app.command()
def report(run: Run) -> None:
    """Write the report of a run."""
    from vadose import pipeline

    typer.echo(f"Report: {pipeline.report(run, progress=_bar)}")


@app.command()
def explain(
    run: Run,
    method: Annotated[str | None, typer.Option(help="Method; the published one.")] = None,
    samples: Annotated[int, typer.Option(help="Places asked for at each scale.")] = 2000,
    seed: Annotated[int | None, typer.Option(help="That of the recipe.", min=0)] = None,
) -> None:
    """Tell what a fitted method relies on, and whether that holds at the fine scale."""
    from vadose import pipeline

    page = pipeline.explain(run, method=method, samples=samples, seed=seed, progress=_bar)
    _explained(run)
    typer.echo(f"Explanation: {page}")


def _plan(planned: Sequence[Any]) -> None:
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


def _say_what_is_there(out: Path) -> None:
    from vadose import pipeline

    done = pipeline.finished(out)
    if done and "report" not in done:
        typer.echo(f"Found an unfinished run in {out} ({', '.join(done)} done); going on with it.")


def _show(out: Path) -> None:
    _held(out)
    _table(out)
    typer.echo(f"Product: {out / 'product.nc'}\nReport:  {out / 'report.html'}")


def _table(run: Path) -> None:
    import json

    from rich.console import Console
    from rich.table import Table

    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    unit = scores["unit"].replace("m3 m-3", "m³ m⁻³")
    table = Table(
        title=f"{scores['target'].replace('_', ' ')} against the {scores['reference']}: "
        f"{scores['n']} values, {unit}",
        caption=f"cell r: within coarse cells; closed: largest residual; weights: {scores['weights']}; gain: how much smaller the RMSE is than that of the "
        "copied coarse value",
    )
    table.add_column("method", no_wrap=True, max_width=30)
    for column in ("R", "RMSE", "cell r", "gain", "closed"):
        table.add_column(column, justify="right", no_wrap=True, min_width=6)
    for name, row in scores["methods"].items():
        gain = row["gain_over_nearest"]["rmse"]
        style = "bold" if name == scores["best"] else "red" if gain < 0 else ""
        table.add_row(
            row["title"],
            _number(row["pooled"]["r"], ".4f"),
            _number(row["pooled"]["rmse"], ".4f"),
            _number(row["within_cell"]["r"], ".3f"),
            _number(gain, "+.4f"),
            _number(row["closure_max"], ".0e"),
            style=style,
        )
    Console().print(table)


def _explained(run: Path) -> None:
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
            *(_number(totals[name, group], ".2f") for name in names),
            _number(growth[group], "+.4f"),
            row["answer"],
            style=styles.get(row["answer"], ""),
        )
    Console().print(table)
    for text in (found["comparisons"][-1]["verdict"], *found["notes"]):
        typer.echo(text)


def _held(run: Path) -> None:
    """Tell how well the models give the coarse target where it was kept from them."""
    import json

    from rich.console import Console
    from rich.table import Table

    path = run / "fit_scores.json"
    if not path.exists():
        return
    scores = json.loads(path.read_text(encoding="utf-8"))
    table = Table(title=f"the coarse field, {scores['title']}")
    for column in ("method", "layer", "part"):
        table.add_column(column)
    for column in ("R", "RMSE", "ubRMSE"):
        table.add_column(column, justify="right", no_wrap=True)
    for method in scores["methods"].values():
        title = method["title"]
        for layer, parts in method["layers"].items():
            words = layer.replace("_", " ")
            for part, row in parts.items():
                if row["n"]:
                    numbers = [_number(row["r"], ".3f")]
                    numbers += [_number(row[metric], ".4f") for metric in ("rmse", "ubrmse")]
                    table.add_row(title, words, part, *numbers)
                    title = words = ""  # a name once
    Console().print(table)


def _alignment(run: Path) -> None:
    """Tell what happened to every variable, where sources were brought onto the grids."""
    import json

    for row in json.loads((run / "alignment.json").read_text(encoding="utf-8")):
        typer.echo(
            f"{row['variable']} ({row['source']}, {row['files']} files): {row['regridding']}; "
            f"{_number(row['valid_after'], '.0%')} of values valid, mean "
            f"{_number(row['mean_before'], '.4g')} -> {_number(row['mean_after'], '.4g')} "
            f"{row['units_after']}. {row['remark']}"
        )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


@contextmanager
def _bar(words: str) -> Iterator[Callable[..., None]]:
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


def main() -> None:
    """Run the command line; a bad input is one clear error and exit code 2."""
    try:
        app()
    except VadoseError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == STOPPED:  # typer turns an interrupt into an exit of its own
            typer.echo("Stopped. Run the same command again to go on.", err=True)
        raise


if __name__ == "__main__":
    main()
