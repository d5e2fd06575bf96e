"""Ways to fill a satellite's gaps, on values that were hidden from them: the synthetic world, South Africa, CONUS.

* ``world``: the synthetic world, gaps of other days laid for 1 to 30 days; scored against the noisy values and, since
  it is known, against the truth.
* ``south_africa``: SMAP 9 km and ERA5-Land in January 2020, as `vadose fuse` brings them together. A value is hidden
  where the one three days later is missing; ``south_africa_lag_1``, ``_2`` and ``_4`` are a check against luck.
* ``conus_smap``: a year at 412 pixels of SMAP 36 km that lie 144 km apart, with an index of antecedent rain for a land
  model, blocks of 1 to 30 days hidden at all pixels at once, so that nothing can be had from neighbours on that day.

All methods see the same record without the hidden values, and are scored where all of them have one. ``auto`` is what
`vadose fuse` would take: the candidate that wins on further gaps laid on the record that is left. Intervals (95 %) of
the ratio of its RMSE to that of each other method, by blocks of days and cells. Seconds are the processor's, of all
cores together, for the clock depends on what else the machine does. Run from the root of the repository::

    python benchmarks/fusion.py [--data ../shared/data] [--quick] [--globe]

``--globe`` adds a month of a synthetic globe on EASE-Grid 2.0 at 36 km, in blocks of days as in a run, and what
3,150 days of it take. The network sees maps, and so neither CONUS nor the other
lags. ``--quick`` leaves it out everywhere and takes a smaller world.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from fusion_cases import OTHER_LAGS, Case, conus_smap, south_africa, synthetic_world

from vadose.config.fusion import Filling
from vadose.fuse import FILLERS
from vadose.fuse.adversarial import Adversarial
from vadose.fuse.base import TARGET, Filler
from vadose.fuse.gapfill.residual import LinearResidual
from vadose.fuse.seamless import BOUNDS
from vadose.models.drcgan.model import LEAST_GAIN
from vadose.pipeline.gap_judging import judge
from vadose.validate.gap_table import VERDICTS, compare_gaps, score_gaps

#: What `vadose fuse` would take on a record.
DEFAULT = "auto"
#: A mean under a window is taken as it is, not drawn to zero.
TRUSTING = 1e-6
#: Of the network's training.
STEPS = ("supervised", "adversarial")
#: Scores that are printed and written.
SCORES = ("rmse", "ubrmse", "r")

Ask = Callable[[xr.DataArray, xr.Dataset], xr.DataArray]


def by(filler: Callable[[], Filler], known: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
    """Fill a record with a filler of its own."""
    return filler().fit(known, model).fill(known, model)


def raw(known: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
    """Take the land model as it is."""
    return model[TARGET]


def pixel_mean(known: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
    """Take the mean of a cell's values."""
    return known.mean("time").broadcast_like(known).transpose(*known.dims)


def pixel_line(known: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
    """Put a line on the land model in each cell, by least squares."""
    told = model[TARGET]
    pair = told.where(known.notnull())
    slope = xr.cov(pair, known, dim="time") / pair.var("time", ddof=1)
    return (known.mean("time") + slope * (told - pair.mean("time"))).transpose(*known.dims)


def methods() -> dict[str, Ask]:
    """Name what is compared, without the network."""
    smoothed = partial(LinearResidual, days=3.0, trust=TRUSTING, pull=0.0)
    asked: dict[str, Ask] = {
        "land_model": raw,
        "pixel_mean": pixel_mean,
        "pixel_line": pixel_line,
        "line_smoothed_in_time": partial(by, partial(smoothed, cells=0.0)),
        "line_smoothed_in_space": partial(by, partial(smoothed, cells=4.0)),
    }
    asked |= {name: partial(by, FILLERS[name]) for name in FILLERS if name != Adversarial.name}
    return asked


def networks(case: Case) -> tuple[dict[str, xr.DataArray], dict[str, float], dict[str, Any]]:
    """Fill with the network after its first and after its second step; ``drcgan`` is the one that is kept.

    It is trained once: the same seed gives the same first step to all three.
    """
    filled, seconds = {}, {}
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            filler = Adversarial(settings={"step": step})
            # the second training finds the first step there, and goes on behind it
            filler.checkpoint = Path(folder)
            filler.fit(case.known, case.model)
            filled[f"drcgan_{step}"] = filler.fill(case.known, case.model)
            seconds[f"drcgan_{step}"] = time.process_time() - started
            known = filler.network_.kept_
    kept: dict[str, Any] = {name: getattr(known, name) for name in ("guess", *STEPS)}
    wins = kept["adversarial"] < (1 - LEAST_GAIN) * kept["supervised"]
    taken = "adversarial" if wins else "supervised"
    filled["drcgan"], seconds["drcgan"] = filled[f"drcgan_{taken}"], seconds["drcgan_adversarial"]
    return filled, seconds, {"kept": taken, **kept}


def run(case: Case, *, with_networks: bool, chosen: str | None) -> dict[str, Any]:
    """Fill the hidden values with every method, score, and print a table."""
    filled: dict[str, xr.DataArray] = {}
    seconds: dict[str, float] = {}
    told: dict[str, Any] = {}
    for name, ask in methods().items():
        started = time.process_time()
        filled[name] = ask(case.known, case.model)
        seconds[name] = time.process_time() - started
    if with_networks:
        made, took, told["network"] = networks(case)
        filled |= made
        seconds |= took
    if chosen is None:
        started = time.process_time()
        chosen = choose(case)
        seconds[DEFAULT] = time.process_time() - started + seconds[chosen]
    else:
        seconds[DEFAULT] = seconds[chosen]
    filled[DEFAULT] = filled[chosen]
    # what `vadose fuse` writes lies within bounds; the baselines that are quoted are as they are
    filled |= {name: filled[name].clip(*BOUNDS) for name in (*FILLERS, DEFAULT) if name in filled}
    asked = case.hidden & case.seen.notnull()
    table = score_gaps(filled, case.seen, asked, rng=0)
    against = compare_gaps(filled, case.seen, asked, best=DEFAULT, rng=0)
    whole = table.isel(stratum=0)
    rows: dict[str, Any] = {}
    for name in filled:
        one, other = whole.sel(product=name), against.isel(stratum=0).sel(product=name)
        rows[name] = {key: round(float(one[key]), 5) for key in SCORES}
        rows[name] |= {"n_hidden": int(whole["n"]), "seconds": round(seconds[name], 2)}
        rows[name] |= {
            key: round(float(other[key]), 4) for key in ("ratio", "ratio_lower", "ratio_upper")
        }
        rows[name]["verdict"] = VERDICTS[int(other["verdict"])]
        if case.truth is not None:
            error = (filled[name] - case.truth).where(asked)
            rows[name]["rmse_truth"] = round(float(np.sqrt((error**2).mean())), 5)
    show(case, rows, chosen, int(table["lost"].max()))
    if "network" in told:
        network = told["network"]
        print(
            "network at gaps held out in training: "
            + ", ".join(f"{name} {network[name]:.4f}" for name in network if name != "kept")
            + f"; the {network['kept']} step is kept",
            flush=True,
        )
    show_lengths(table, chosen)
    return {"rows": rows, "default": chosen, **told}


def choose(case: Case) -> str:
    """Take the candidate that wins on gaps laid on what is left of the record."""
    with tempfile.TemporaryDirectory() as folder:
        judged = judge(
            case.known,
            case.model,
            Filling(),
            seed=0,
            work=Path(folder),
            progress=lambda done, total, note="": None,
        )
    return judged.method


def show(case: Case, rows: dict[str, Any], chosen: str, lost: int) -> None:
    """Print a table, the worst first."""
    n = rows[chosen]["n_hidden"]
    print(f"\n{case.title}\n{n:,} hidden values ({lost} lost by a method); auto: {chosen}")
    has_truth = case.truth is not None
    print(
        f"{'method':<26}{'RMSE':>8}{'ubRMSE':>8}{'R':>7}{'to truth' if has_truth else '':>10}"
        f"{'RMSE to auto, 95 %':>26}{'':<10}{'CPU s':>8}"
    )
    for name in sorted(rows, key=lambda one: -rows[one]["rmse"]):
        row = rows[name]
        truth = f"{row['rmse_truth']:.4f}" if has_truth else ""
        interval = f"{row['ratio']:.3f} ({row['ratio_lower']:.3f} to {row['ratio_upper']:.3f})"
        print(
            f"{name:<26}{row['rmse']:>8.4f}{row['ubrmse']:>8.4f}{row['r']:>7.3f}{truth:>10}"
            f"{interval:>26} {row['verdict']:<9}{row['seconds']:>8.1f}"
        )


def show_lengths(table: xr.Dataset, chosen: str) -> None:
    """Print the RMSE by length of the gap of what is chosen and of three that it has to beat."""
    parts = table.isel(stratum=np.flatnonzero(table["kind"].values == "length"))
    names = [
        name for name in (chosen, "cdf_matched", "persistence", "dct_pls") if name in table.product
    ]
    print("RMSE by length of the gap in days (values)")
    for place, label in enumerate(parts["label"].values):
        one = parts.isel(stratum=place)
        scores = "  ".join(f"{name} {float(one['rmse'].sel(product=name)):.4f}" for name in names)
        print(f"  {label:>10} ({int(one['n']):>6,})  {scores}", flush=True)


def main() -> None:
    """Run all records, print tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path(__file__).parents[2] / "shared/data"
    parser.add_argument("--data", type=Path, default=beside, help="folder of the data")
    parser.add_argument("--quick", action="store_true", help="no network, a smaller world")
    parser.add_argument("--globe", action="store_true", help="a month of the globe as well")
    given = parser.parse_args()

    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    settings = {"factor": 8, "days": 60} if given.quick else {}
    found: dict[str, Any] = {}
    cases: list[Callable[[], Case]] = [partial(synthetic_world, **settings)]
    folder, pixels = given.data / "south_africa", given.data / "conus_smap/conus_smap.nc"
    if folder.is_dir():
        cases.append(partial(south_africa, folder))
        cases += [partial(south_africa, folder, lag=lag) for lag in OTHER_LAGS if not given.quick]
    if pixels.is_file():
        cases.append(partial(conus_smap, pixels))
    chosen: dict[str, str] = {}
    networks_said: dict[str, Any] = {}
    for make in cases:
        case = make()
        # other lags are a check of what was chosen before
        before = chosen.get("south_africa") if "lag" in case.name else None
        with_networks = not given.quick and before is None and case.is_map
        made = run(case, with_networks=with_networks, chosen=before)
        found[case.name], chosen[case.name] = made["rows"], made["default"]
        if "network" in made:
            networks_said[case.name] = made["network"]
    if given.globe:
        import fusion_globe

        print()
        found["globe"] = fusion_globe.main()
    names = set(chosen.values())
    told = {
        # a name wherever all records choose the same one
        "default_method": names.pop() if len(names) == 1 else DEFAULT,
        "auto": chosen,
        "networks": networks_said,
    }
    print(json.dumps({**found, **told}))


if __name__ == "__main__":
    main()
