"""What the command line shows of scores: on maps, at stations, on what was held back, of correction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from vadose.cli.show import number


def show_scores(run: Path) -> None:
    """Show the scores of all methods."""
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
            number(row["pooled"]["r"], ".4f"),
            number(row["pooled"]["rmse"], ".4f"),
            number(row["within_cell"]["r"], ".3f"),
            number(gain, "+.4f"),
            number(row["closure_max"], ".0e"),
            style=style,
        )
    Console().print(table)
    _ground(scores)


def _ground(scores: dict[str, Any]) -> None:
    """Show the published method's gain on all cells and by condition of the ground, with intervals."""
    published = scores.get("publish")
    parts = {
        "all": {"methods": scores["methods"], "title": "all cells"},
        **scores.get("strata", {}),
    }
    if scores["reference"] != "truth" or published in (None, "nearest"):
        return
    for part in parts.values():
        own, base = (part["methods"][name] for name in (published, "nearest"))
        gain = own["gain_over_nearest"]
        ends = [gain.get(f"rmse_{end}") for end in ("lower", "upper")]
        words = f" ({_signed(ends[0])} to {_signed(ends[1])})" if None not in ends else ""
        share = part.get("share_of_area")
        of = f", {share:.0%} of the area" if share is not None else ""
        typer.echo(
            f"{part['title']}{of}: RMSE {number(own['pooled']['rmse'], '.4f')}, copied "
            f"{number(base['pooled']['rmse'], '.4f')}, gain {_signed(gain['rmse'] or 0.0)}{words}"
        )


def show_judgement(run: Path) -> None:
    """Show what ``validation/`` holds, in short."""
    import json

    path = run / "validation/summary.json"
    if not path.exists():
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if "views" in found:
        _stations(found)
    for name, maps in found["maps"].items():
        words = _of_maps(maps, is_tiled=name == found["publish"])
        if words:
            typer.echo(f"{found['titles'].get(name, name)}: {words}.")
    for name, row in found.get("ensembles", {}).items():
        typer.echo(
            f"{found['titles'][name]}: CRPS {number(row['crps'], '.4f')} beside an absolute error of "
            f"{number(row['mae_best_single'], '.4f')} of {found['titles'][row['best_single']]}; RMSE of the "
            f"mean {number(row['rmse'], '.4f')}; 90% intervals cover {number(row['coverage']['0.9'], '.1%')}, "
            f"spread over skill {number(row['spread_skill'], '.2f')}."
        )
    for row in found.get("gaps", []):
        typer.echo(
            f"gaps over {row['gap_steps']} steps, {found['titles'].get(row['product'], row['product'])}: RMSE "
            f"{number(row['rmse'], '.4f')}, R {number(row['r'], '.3f')}, {row['n']:.0f} values"
            + (" (few)" if row["is_small"] else "")
        )
    if "hat" in found:
        if found["hat"]["too_few_share"] == 1:
            typer.echo("three-cornered hat: fewer than 50 steps everywhere, so nothing is told")
        for name, row in found["hat"]["methods"].items():
            if row["error_sd"] is None:
                continue
            typer.echo(
                f"three-cornered hat, {found['titles'][name]}: error {number(row['error_sd'], '.4f')} "
                f"m³ m⁻³, {number(row['relative_uncertainty'], '.0%')} of the mean"
            )
        typer.echo(found["hat"]["warning"])
    if "intervals" in found:
        rows = found["intervals"]["coverage"]
        told = [row["coverage"] for row in rows if row["coverage"] is not None]
        typer.echo(
            f"Intervals of {found['intervals']['level']:.0%}, calibrated on {found['intervals']['source']}: "
            f"{rows[0]['coverage']:.1%} of held-out values lie inside, {min(told):.1%} to {max(told):.1%} "
            f"over {len(rows) - 1} strata; mean width {rows[0]['width']:.3f} m³ m⁻³."
        )
    typer.echo(f"Tables: {path.parent}")


def show_correction(run: Path) -> None:
    """Show what correction with stations does at stations held out."""
    import json

    path = run / "correction/summary.json"
    if not path.exists():
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    typer.echo(f"{found['how']} correction, held out: {found['hold']}; {found['n']:.0f} pairs.")
    typer.echo(found["verdict"])
    for note in found.get("notes", []):
        typer.echo(f"Note: {note}")
    if found["is_applied"]:
        typer.echo(f"Corrected product: {run / 'product_corrected.zarr'}")


def _stations(found: dict[str, Any]) -> None:
    """Show medians over stations, and gains over the coarse input with their intervals."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    for view, products in found["views"].items():
        is_raw = view == "values"
        table = Table(
            title=f"median over {next(iter(products.values()))['stations']} stations: "
            f"{view.replace('_', ' ')}, m³ m⁻³",
            caption=f"gain: ubRMSE smaller than that of nearest, and its {found['level']:.0%} interval"
            if is_raw
            else None,
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        table.add_column("method", no_wrap=True, max_width=26)
        for name in ("R", "bias", "ubRMSE"):
            table.add_column(name, justify="right", no_wrap=True, min_width=7)
        if is_raw:
            table.add_column("gain", justify="right", no_wrap=True)
        for name, row in products.items():
            forms = {"r": ".3f", "bias": "+.4f", "ubrmse": ".4f"}
            numbers = [number(row[key]["median"], form) for key, form in forms.items()]
            if row["r"].get("undefined"):
                numbers[0] += "*"
            if is_raw:
                numbers.append(_gain(found["gains"]["nearest"]["products"][name]["delta_ubrmse"]))
            style = "bold" if name == found["publish"] else ""
            table.add_row(found["titles"][name], *numbers, style=style)
        Console().print(table)
    undefined = {
        found["titles"][name]: row["r"]["undefined"]
        for name, row in found["views"]["values"].items()
        if row["r"].get("undefined")
    }
    for title, count in undefined.items():
        typer.echo(f"* {title}: R is not defined at {count} stations, where it does not vary.")
    typer.echo(found["verdict"])
    lost = {reason: n for reason, n in found["lost"][found["publish"]].items() if n}
    typer.echo(
        f"{found['pairs']} pairs at {found['stations']} stations; "
        f"{len(found['stations_not_used'])} others have pairs and are not used; stamps lost: "
        + (", ".join(f"{reason} {n}" for reason, n in lost.items()) or "none")
    )
    for note in found["notes"]:
        typer.echo(f"Note: {note}")


def _of_maps(maps: dict[str, Any], *, is_tiled: bool) -> str:
    """Say what maps tell, in a line."""
    forms = {
        "effective_wavelength_km": "resolves waves of {:.0f} km",
        "within_cell_median_r": "R within coarse cells {:.2f}",
        "coarse_cell_edge_jump_ratio": "steps across coarse cells {:.2f} times those inside",
        "gap_edge_jump_ratio": "across edges of gaps {:.2f} times those inside",
        "gap_half_cell_jump_ratio": "on half-cell lines in gaps {:.2f} times",
        "tile_edge_jump_ratio": "across tiles {:.2f} times those across cells",
        "closure_max": "closed to {:.0e}",
        "rain_lag_days": "answers rain after {:.0f} days",
    }
    if not is_tiled:
        for key in ("tile_edge_jump_ratio", "gap_edge_jump_ratio", "gap_half_cell_jump_ratio"):
            forms.pop(key)  # of the baselines it says nothing
    return ", ".join(
        form.format(maps[key]) for key, form in forms.items() if maps.get(key) is not None
    )


def _gain(gain: dict[str, float | None]) -> str:
    if gain["lower"] is None:
        return number(gain["median"], "+.4f")
    return " ".join(_signed(gain[part] or 0.0) for part in ("median", "lower", "upper"))


def _signed(value: float) -> str:
    """Write a gain; one that is not zero does not look like zero."""
    if value and round(value, 4) == 0:
        return f"{value:+.0e}".replace("e-0", "e-")
    return f"{value:+.4f}".replace("0.", ".", 1)


def show_held(run: Path) -> None:
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
                    numbers = [number(row["r"], ".3f")]
                    numbers += [number(row[metric], ".4f") for metric in ("rmse", "ubrmse")]
                    table.add_row(title, words, part, *numbers)
                    title = words = ""  # a name once
    Console().print(table)
