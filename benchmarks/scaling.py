"""Time and memory of downscaling as the domain grows to 4 and 16 times its size.

The same synthetic world is downscaled in windows of 1, 4 and 16 times the area by ``vadose downscale`` in
processes of their own. Time is that of the stage as ``state.json`` has it: all stores, closure, product and
netCDF files, without the start of Python and the plan. A ratio is time for the area against that of the
smallest window, which is downscaled before and after each larger one, so that what else the machine does
falls on both: 1 is linear, less is better than that, for what is paid once weighs less. Processor time is
that of the whole command, and is less sensitive to others.
Run from the root of the repository::

    python benchmarks/scaling.py [--cells 14] [--days 64] [--max-mem 2GB]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from tiled_runs import Took, downscale, load, make_forest, make_run

from vadose.pipeline.memory import parse_bytes


def main() -> None:
    """Downscale the three domains, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=14, help="coarse cells along the least side")
    parser.add_argument("--days", type=int, default=64)
    parser.add_argument("--max-mem", default="2GB")
    parser.add_argument("--scratch", help="folder for the runs, which are removed")
    options = parser.parse_args()
    budget = parse_bytes(options.max_mem) / 2**20
    found: dict[int, Took] = {}
    ratios: dict[int, float] = {}
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        make_forest(folder / "forest")
        print(load())
        print(
            f"{'size':<6}{'coarse cells':<14}{'land pixels x days':>19}{'seconds':>9}{'us per pixel':>14}"
            f"{'processor us':>14}{'ratio':>8}{'peak MB':>10}{'budget MB':>11}"
        )
        small: list[float] = []
        for times in (1, 4, 1, 16, 1):
            side = options.cells * round(times**0.5)
            run = folder / "run"
            pixels = make_run(run, (side, side), options.days, folder / "forest")
            took = downscale(run, options.max_mem)
            shutil.rmtree(run)
            if times == 1:
                small.append(took.stage)
            found.setdefault(times, took)
            print(
                f"{times:<6}{f'{side} x {side}':<14}{pixels:>19,}{took.stage:>9.1f}"
                f"{took.stage / pixels * 1e6:>14.3f}{took.processor / pixels * 1e6:>14.3f}"
                f"{took.stage / small[0] / times:>8.3f}{took.peak:>10.0f}{budget:>11.0f}",
                flush=True,
            )
        for place, times in enumerate((4, 16)):
            around = (small[place] + small[place + 1]) / 2
            ratios[times] = found[times].stage / around / times
    print(
        f"against the small ones before and after: {ratios[4]:.3f} at 4x, {ratios[16]:.3f} at 16x"
    )
    print(load())
    print(
        json.dumps(
            {
                "time_ratio_4x": round(ratios[4], 3),
                "time_ratio_16x": round(ratios[16], 3),
                "peak_mb_1x": round(found[1].peak, 1),
                "peak_mb_16x": round(found[16].peak, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
