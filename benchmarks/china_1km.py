"""Time and memory of a year of daily 1 km maps of China, extrapolated from a sample of tiles and days.

China has 9.6 million land pixels of 1 km: 3.5 billion predictions a year, of 13 predictors and the
position by a forest of 150 trees. A synthetic run of a stated number of tiles is downscaled by
``vadose downscale`` in a process of its own; the seconds of what the published product needs (the forest,
its closure, the product and its netCDF files) are counted for each land pixel and day of the sample and
multiplied. That holds as far as time is linear, see ``scaling.py``. Run from the root of the repository::

    python benchmarks/china_1km.py [--cells 14] [--days 64] [--max-mem 4GB]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from tiled_runs import FACTOR, SIDE, STEPS, downscale, load, make_forest, make_run

LAND, DAYS = 9_600_000, 365
TARGET_HOURS, TARGET_MB = 2.0, 4000.0


def main() -> None:
    """Make the sample, downscale it, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=14, help="coarse cells along a side")
    parser.add_argument("--days", type=int, default=2 * STEPS)
    parser.add_argument("--max-mem", default="4GB")
    parser.add_argument("--scratch", help="folder for the run, which is removed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        forest = make_forest(folder / "forest")
        side = options.cells * FACTOR
        pixels = make_run(
            folder / "run", (options.cells, options.cells), options.days, folder / "forest"
        )
        print(
            f"sample: {side} x {side} cells x {options.days} days in chunks of {SIDE} x {SIDE} x "
            f"{STEPS}, {pixels / 1e6:.1f} million land pixels x days\nforest: {forest['rows']:.0f} rows, "
            f"{forest['megabytes']:.0f} MB\n{load()}\n",
            flush=True,
        )
        took = downscale(folder / "run", options.max_mem)
    year = LAND * DAYS / pixels
    print(f"{'store':<26}{'seconds':>9}{'us per pixel':>14}{'hours a year':>14}")
    for name, seconds in took.stores.items():
        row(name, seconds, pixels)
    row("published chain", took.published, pixels)
    row("all stores", took.stage, pixels)
    row("the command, with start", took.command, pixels)
    print("\nwork of the threads, seconds: " + told(took.work))
    hours = took.published * year / 3600
    print(
        f"extrapolated {year:.0f}-fold to {LAND / 1e6:.1f} million pixels x {DAYS} days: {hours:.2f} hours "
        f"(target {TARGET_HOURS:g}); peak {took.peak:.0f} MB (target {TARGET_MB:.0f})"
    )
    print(load())
    print(
        json.dumps(
            {
                "hours_per_year": round(hours, 3),
                "peak_mb": round(took.peak, 1),
                "pixels_measured": pixels,
            }
        )
    )


def row(name: str, seconds: float, pixels: int) -> None:
    """Print a line."""
    hours = seconds / pixels * LAND * DAYS / 3600
    print(f"{name:<26}{seconds:>9.1f}{seconds / pixels * 1e6:>14.3f}{hours:>14.2f}")


def told(work: dict[str, dict[str, float]]) -> str:
    """Put the ledgers' seconds into words."""
    return "; ".join(
        f"{name}: " + ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in kinds.items())
        for name, kinds in work.items()
    )


if __name__ == "__main__":
    main()
