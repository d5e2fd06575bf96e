"""Speed of predictions by networks: the modules as they were trained, and the forms laid out for speed.

Each network learns for an epoch (speed does not depend on what it has learned) and predicts a tile of the
synthetic world, 64 x 64 cells and 16 days of 13 predictors and the position. *Plain* is the path that was
there before: every block of samples (4,096 rows, 128 series or one map) is scaled and goes through the
module. *Now* is `predict`. Both take turns, so that what else the
machine does falls on both; the median of each and of the ratios are printed, and the memory that each adds
at most. A network of maps is shown on the grid of its training, and on finer ones, on which its neighbours
are means over as many cells; one of series also for the series of one day that residual learning asks for.

The pairs run on one core; what `predict` takes on all of them stands beside it. (Plain operations that torch
spreads over all cores wait for each other as soon as anything else runs, by a factor of ten and more, so that
no ratio of these is given.) The last row has the module of the slowest network compiled by ``torch.compile``,
which needs a compiler, and the seconds of its first call. Run from the root of the repository::

    python benchmarks/network_inference.py [--repeats 5] [--workers 2] [--only NAME ...] [--no-compile]
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vadose.models import new_model
from vadose.models.layers import MaskedConvolution
from vadose.models.network import Network
from vadose.samples import Patches, Rows, Sequences
from vadose.synthetic import world

SIDE, DAYS, FACTOR = 64, 16, 4
PREDICTORS = (
    "land_surface_temperature",
    "air_temperature",
    "ndvi",
    "ndwi",
    "albedo",
    "evaporation",
    "precipitation",
    "elevation",
    "slope",
    "topographic_wetness_index",
    "sand",
    "silt",
    "clay",
)
#: Samples that went through a module at once.
PLAIN_BLOCK = {"rows": 4096, "sequences": 128, "patches": 1}
#: What is compared: the network, days of a series, and how many times finer the grid is.
CASES: dict[str, tuple[str, int, int]] = {
    "dnn": ("dnn", DAYS, 1),
    "bpnn": ("bpnn", DAYS, 1),
    "lstm": ("lstm", DAYS, 1),
    "lstm, one day": ("lstm", 1, 1),
    "cnn": ("cnn", DAYS, 1),
    "cnn, one day": ("cnn", 1, 1),
    "cnn_gru": ("cnn_gru", DAYS, 1),
    "cnn_gru, one day": ("cnn_gru", 1, 1),
    "resnet": ("resnet", DAYS, 1),
    "resnet, 9 x finer": ("resnet", DAYS, 9),
    "resnet, 36 x finer": ("resnet", DAYS, 36),
}
#: What is compiled.
COMPILED = "cnn_gru"
#: The two sides of a prediction that are the same to this, m³ m⁻³.
SAME = 1e-6


def network_of(name: str, cube: Any) -> tuple[Network, np.ndarray]:
    """Give a network that has learned a little of the truth, and the samples of the whole tile."""
    quick = {"trainer": "adam", "batch": 256} if name == "bpnn" else {}
    network: Any = new_model(name, seed=0, epochs=1, **quick)
    sampler = {"rows": Rows, "sequences": Sequences, "patches": Patches}[network.kind]
    corner = cube.isel(y=slice(16), x=slice(16))
    known = sampler(PREDICTORS).take(corner, "soil_moisture")
    return network.fit(known.X, known.y), sampler(PREDICTORS).take(cube).X


def plain(network: Any, X: np.ndarray, modules: list[Any] | None = None) -> np.ndarray:
    """Predict with the modules as they are, block by block."""
    total = np.zeros((*X.shape[:-1], 1))
    size = PLAIN_BLOCK[network.kind]
    for module in modules or network.modules_:
        module.eval()
        for layer in module.modules():
            if isinstance(layer, MaskedConvolution):
                layer.finer = network.finer
        for start in range(0, len(X), size):
            part = network._scaled(X[start : start + size])
            filled = np.zeros((size, *part.shape[1:]), dtype=np.float32)
            filled[: len(part)] = part
            with torch.inference_mode():
                values = module(torch.from_numpy(filled)).numpy()
            total[start : start + len(part)] += values[: len(part)]
    return network.target_scaling_.undo(total / len(network.modules_))[..., 0]


def timed(ask: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Give the seconds and what came out."""
    started = time.perf_counter()
    values = ask()
    return time.perf_counter() - started, values


def added_memory(ask: Callable[[], np.ndarray]) -> float | None:
    """Give the MB that a call adds at most to what the process holds; None where that is not told."""
    with contextlib.suppress(
        AttributeError
    ):  # what was freed and kept would not be seen to be used again
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    except OSError:
        return None

    def held(key: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(key))) / 1024

    before = held("VmRSS")
    ask()
    return round(held("VmHWM") - before, 1)


def compare(network: Any, X: np.ndarray, workers: int, repeats: int) -> dict[str, Any]:
    """Time both paths in turn on the same samples and one core, and `predict` on all."""
    torch.set_num_threads(1)

    def predict(cores: int) -> np.ndarray:
        network.workers = cores
        return network.predict(X)

    asks = {
        "plain": lambda: plain(network, X),
        "now": lambda: predict(1),
        "on_all": lambda: predict(workers),
    }
    memory = {
        name: added_memory(ask) for name, ask in asks.items()
    }  # and nobody's first time counts
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    answers: dict[str, np.ndarray] = {}
    for _ in range(repeats):
        for name, ask in asks.items():
            spent, answers[name] = timed(ask)
            seconds[name].append(spent / X[..., 0].size * 1e6)
    assert np.array_equal(answers["now"], answers["on_all"])
    difference = float(np.abs(answers["plain"] - answers["now"]).max())
    assert difference <= SAME, f"predictions differ by {difference}"
    ratios = np.array(seconds["plain"]) / np.array(seconds["now"])
    return {
        **{name: round(float(np.median(each)), 3) for name, each in seconds.items()},
        "speedup": round(float(np.median(ratios)), 2),
        "difference": difference,
        **{f"{name}_mb": each for name, each in memory.items()},
    }


def compile_it(network: Any, X: np.ndarray, repeats: int) -> dict[str, Any]:
    """Time the module as compiled by torch, on one core, against `predict`."""
    torch.set_num_threads(1)
    network.workers = 1
    try:
        compiled = [torch.compile(module) for module in network.modules_]
        first, _ = timed(lambda: plain(network, X[: PLAIN_BLOCK[network.kind]], compiled))
    except Exception as error:  # of any kind, where there is no compiler
        return {"compiled": None, "reason": str(error).splitlines()[0][:80]}
    seconds, now = [], []
    for _ in range(repeats):
        seconds.append(timed(lambda: plain(network, X, compiled))[0] / X[..., 0].size * 1e6)
        now.append(timed(lambda: network.predict(X))[0] / X[..., 0].size * 1e6)
    return {
        "compiled": round(float(np.median(seconds)), 3),
        "now": round(float(np.median(now)), 3),
        "first_call_seconds": round(first, 1),
    }


def main() -> None:
    """Learn, compare, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--no-compile", action="store_true")
    given = parser.parse_args()

    made = world(size=SIDE, days=DAYS, factor=FACTOR, seed=0)
    cube = (
        made.predictors[list(PREDICTORS)].assign(soil_moisture=made.truth["soil_moisture"]).load()
    )
    print(
        f"{SIDE} x {SIDE} cells, {DAYS} days, {len(PREDICTORS) + 2} features, torch {torch.__version__}; "
        f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n"
    )
    print(
        f"{'us per pixel-day':<20}{'plain':>9}{'now':>9}{'ratio':>8}{'on all cores':>14}"
        f"{'largest':>9}   MB{'plain':>7}{'now':>7}{'on all cores':>14}"
    )
    rows: dict[str, dict[str, Any]] = {}
    networks: dict[str, tuple[Any, np.ndarray]] = {}
    for case in given.only:
        name, days, finer = CASES[case]
        if name not in networks:
            networks[name] = network_of(name, cube)
        network, X = networks[name]
        if name == "resnet":
            network.finer = finer
        X = X.reshape(-1, days, X.shape[-1])[: SIDE * SIDE] if days != DAYS else X
        rows[case] = compare(network, X, given.workers, given.repeats)
        show(case, rows[case])
    compiled = None
    if COMPILED in networks and not given.no_compile:
        compiled = compile_it(*networks[COMPILED], given.repeats)
        print(f"{COMPILED}, compiled by torch, on one core: {compiled}")
    print(
        "\nratio: plain against now; largest: absolute difference; MB: what a prediction adds at most"
    )
    print(
        json.dumps(
            {
                "speedup": {case: row["speedup"] for case, row in rows.items()},
                "max_abs_difference": max(row["difference"] for row in rows.values()),
                "microseconds_per_pixel_day": {case: row["now"] for case, row in rows.items()},
                "compiled": compiled,
                "rows": rows,
            }
        )
    )


def show(case: str, row: dict[str, Any]) -> None:
    """Print a line."""
    memory = [
        "-" if row[name] is None else f"{row[name]:.0f}"
        for name in ("plain_mb", "now_mb", "on_all_mb")
    ]
    print(
        f"{case:<20}{row['plain']:>9.2f}{row['now']:>9.2f}{row['speedup']:>8.2f}{row['on_all']:>14.2f}"
        f"{row['difference']:>9.0e}{memory[0]:>12}{memory[1]:>7}{memory[2]:>14}",
        flush=True,
    )


if __name__ == "__main__":
    main()
