"""The command line: one sub-command per verb of `vadose.pipeline`.

Heavy libraries are imported inside the commands, so that ``vadose --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vadose import __version__
from vadose.cli.fetch import fetch
from vadose.cli.recipe import app as recipe_app
from vadose.cli.show import bar, show_alignment, show_explanation, show_fusion, show_plan
from vadose.cli.verdicts import show_correction, show_held, show_judgement, show_scores
from vadose.errors import VadoseError

app = typer.Typer(
    help="Make, judge and publish high-resolution, gap-free soil moisture.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(recipe_app, name="recipe")
app.command()(fetch)

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
    pipeline.demo(out, overwrite=overwrite, progress=bar)
    _show(out)


@app.command()
def run(recipe: Recipe, out: Out, overwrite: Overwrite = False, max_mem: MaxMem = "4GB") -> None:
    """Do all that a recipe names; a stopped run goes on where it was."""
    from vadose import pipeline

    _say_what_is_there(out)
    pipeline.run(recipe, out, overwrite=overwrite, max_mem=max_mem, progress=bar)
    _show(out)


@app.command()
def build(recipe: Recipe, out: Out, overwrite: Overwrite = False, max_mem: MaxMem = "4GB") -> None:
    """Make the coarse and fine cubes of a recipe."""
    from vadose import pipeline

    pipeline.build(recipe, out, overwrite=overwrite, max_mem=max_mem, progress=bar)
    show_alignment(out)
    typer.echo(f"Cubes are in {out}. Next: vadose fit {out}")


@app.command()
def fuse(
    recipe: Annotated[
        Path | None, typer.Argument(help="A recipe of fusion, or of a study with fuse: (YAML).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the result.")] = None,
    satellite: Annotated[
        list[str] | None, typer.Option(help="File, folder or glob with gaps; without a recipe.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="File, folder or glob of a land model without gaps.")
    ] = None,
    satellite_variable: Annotated[
        str | None, typer.Option(help="Its soil moisture, where it cannot be told.")
    ] = None,
    model_variable: Annotated[
        str | None, typer.Option(help="Its soil moisture, where it cannot be told.")
    ] = None,
    method: Annotated[str, typer.Option(help="What fills; the best on hidden values.")] = "auto",
    replace: Annotated[
        bool, typer.Option("--replace", help="The fused field stands for observed values too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bits.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Fill the gaps of a satellite with a land model; say how good the filled part is."""
    from vadose import pipeline
    from vadose.errors import ValueProblem

    files = [*(satellite or []), *(model or [])]
    if out is None:
        raise ValueProblem("--out", found="nothing", expected="a folder for the result")
    if (recipe is None) != bool(satellite and model) or (recipe is not None and files):
        raise ValueProblem(
            "vadose fuse",
            found="a recipe and files" if recipe is not None else "no recipe, and not both files",
            expected="a recipe, or --satellite FILES and --model FILES",
        )
    _say_what_is_there(out)
    if recipe is not None:
        pipeline.fuse(recipe, out, overwrite=overwrite, progress=bar)
    else:
        settings = {"method": method, "observed": "replace" if replace else "keep", "seed": seed}
        names = (satellite_variable, model_variable)
        pipeline.fuse_named(
            satellite or [],
            model or [],
            out,
            settings=settings,
            variables=names,
            overwrite=overwrite,
            progress=bar,
        )
    show_fusion(out)


@app.command()
def fit(run: Run) -> None:
    """Learn from the coarse cube."""
    from vadose import pipeline

    pipeline.fit(run, progress=bar)
    show_held(run)
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
        show_plan(pipeline.plan(run, how=how))
        return
    pipeline.downscale(run, how=how, progress=bar, tell=show_plan)
    if out is not None:
        typer.echo(f"The product is {out.rstrip('/')}/product.zarr.")
        return
    typer.echo(f"The product is in {run}. Next: vadose validate {run}")


@app.command()
def correct(run: Run) -> None:
    """Correct the product with stations, if that helps at stations held out."""
    from vadose import pipeline

    pipeline.correct(run, progress=bar)
    show_correction(run)
    typer.echo(f"Next: vadose validate {run}")


@app.command()
def validate(
    run: Run,
    stations: Annotated[
        Path | None,
        typer.Option(help="ISMN folder or .zip, .yaml that describes tables, or .nc of series."),
    ] = None,
    layer: Annotated[
        tuple[float, float] | None, typer.Option(help="Top and bottom of the layer, m.")
    ] = None,
    match: Annotated[
        str, typer.Option(help="What of a map is compared: cell, nearest or footprint.")
    ] = "cell",
    footprint: Annotated[float | None, typer.Option(help="Its radius, km.")] = None,
    window: Annotated[
        float | None, typer.Option(help="Readings within so many hours; those of the day.")
    ] = None,
    product: Annotated[
        list[str] | None, typer.Option(help="A further product: NAME=PATH of a cube.")
    ] = None,
    minimum: Annotated[
        int | None, typer.Option(min=3, help="Fewest pairs of a station; 50, or 10 if none has.")
    ] = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    after_ma: Annotated[
        bool, typer.Option("--after-ma", help="Drop stations whose R has p >= .05, as Ma et al.")
    ] = False,
    gaps: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=0.5, help="Hide this share of the coarse values; score the fill."
        ),
    ] = None,
    hat: Annotated[
        list[str] | None, typer.Option(help="A method for the three-cornered hat; thrice or more.")
    ] = None,
) -> None:
    """Score every method beside the coarse input, against the truth, or at stations."""
    from vadose import pipeline
    from vadose.pipeline.asking import Asked

    asked = Asked(
        stations=stations,
        layer=layer,
        space=match,
        footprint=footprint,
        hours=window,
        products=_named_paths(product or []),
        minimum_pairs=minimum,
        level=level,
        after_ma=after_ma,
        gaps=gaps,
        hat=tuple(hat or ()),
    )
    if stations is None:
        pipeline.validate(run, asked=asked, progress=bar)
        show_scores(run)
    else:
        pipeline.judge(run, asked=asked, progress=bar)
    show_judgement(run)
    typer.echo(f"Next: vadose report {run}")


def _named_paths(pairs: Sequence[str]) -> dict[str, Path]:
    """Part NAME=PATH."""
    from vadose.errors import ValueProblem

    named = {}
    for pair in pairs:
        name, sign, path = pair.partition("=")
        if not (name and sign and path):
            raise ValueProblem("--product", found=repr(pair), expected="NAME=PATH")
        named[name] = Path(path)
    return named


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of vadose fuse.")],
    style: Annotated[
        str,
        typer.Option(help="Sizes of figures/*: screen, agu, elsevier, ieee, nature or copernicus."),
    ] = "screen",
    figures: Annotated[
        bool, typer.Option(help="Keep every figure as PNG, PDF, SVG and CSV in figures/.")
    ] = True,
    date: Annotated[
        list[str] | None, typer.Option(help="A date to show as a map; some, unless given.")
    ] = None,
) -> None:
    """Write the report of a run, or of a folder of fuse, as one HTML page, and its figures."""
    from vadose import pipeline

    page = pipeline.report(run, style=style, with_files=figures, dates=date or (), progress=bar)
    typer.echo(f"Report: {page}" + (f"\nFigures: {run / 'figures'}" if figures else ""))


@app.command()
def explain(
    run: Run,
    method: Annotated[str | None, typer.Option(help="Method; the published one.")] = None,
    samples: Annotated[int, typer.Option(help="Places asked for at each scale.")] = 2000,
    seed: Annotated[int | None, typer.Option(help="That of the recipe.", min=0)] = None,
) -> None:
    """Tell what a fitted method relies on, and whether that holds at the fine scale."""
    from vadose import pipeline

    page = pipeline.explain(run, method=method, samples=samples, seed=seed, progress=bar)
    show_explanation(run)
    typer.echo(f"Explanation: {page}")


@app.command()
def serve(
    run: Run,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 for any free one.")
    ] = 8321,
) -> None:
    """Show a run on a map in the browser, on this machine only; Ctrl-C ends it."""
    from vadose import pipeline

    pipeline.serve(
        run,
        port=port,
        tell=lambda address: typer.echo(f"Map of {run}: {address}  (Ctrl-C ends it)"),
    )


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run or a fusion; or of an export.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the export; export in the run.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Run every validator; exit 3 if one finds a fault.")
    ] = False,
    about: Annotated[
        Path | None, typer.Option(help="Who publishes it (YAML): creator, institution, doi ...")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an export, once the new one is done.")
    ] = False,
) -> None:
    """Write the product as netCDF, Zarr, GeoTIFF and STAC, with its terms."""
    from vadose.cli.exports import export_and_check

    export_and_check(run, out, about=about, is_checked=check, overwrite=overwrite)


def _say_what_is_there(out: Path) -> None:
    from vadose import pipeline

    done = pipeline.finished(out)
    # a record of its own is finished with the one stage that it has
    if done and "report" not in done and done != ["fuse"]:
        typer.echo(f"Found an unfinished run in {out} ({', '.join(done)} done); going on with it.")


def _show(out: Path) -> None:
    show_held(out)
    if (out / "scores.json").is_file():
        show_scores(out)
    else:
        typer.echo("Nobody judged the fine field: the recipe has neither a truth nor stations.")
    show_correction(out)
    show_judgement(out)
    typer.echo(f"Product: {out / 'product.nc'}\nReport:  {out / 'report.html'}")


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
