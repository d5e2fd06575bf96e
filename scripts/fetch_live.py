"""Try one small file of each archive with your own accounts, and open it with its reader.

Nothing of the tests asks a live archive; this does, and is run by hand: ``make fetch-live``. A failure names
what has changed at the archive. Some 100 MB are downloaded into the folder and kept. Maps are taken whole, but
for one that Harmony is to cut.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vadose.errors import VadoseError
from vadose.products import PRODUCTS
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching import Policy, Wanted, fetch, plan

#: A box in the Duero basin that lies in one tile of everything, and a day.
BOX = (-5.4, 41.2, -5.2, 41.4)
DAY = ("2020-06-10", "2020-06-10")
#: One of each archive, and of each data centre of NASA.
TRIED = {
    "SPL3SMP": (),
    "SPL3SMP_E": (),
    "MOD13A2": (),
    "MCD12Q1": (),
    "IMERG_DAILY": ("precipitation",),
    "SRTM": (),
    "ERA5_LAND": ("land_surface_temperature",),
    "ERA5": ("root_zone_soil_moisture",),
    "COPERNICUS_DEM": (),
    "SOILGRIDS": ("sand",),
}
#: Taken as Harmony cuts it.
CUT = "IMERG_DAILY"


def main() -> int:
    """Fetch, open, and say what worked; 3 where something did not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/fetch_live"))
    parser.add_argument("products", nargs="*", help=f"of {', '.join(TRIED)}; all")
    given = parser.parse_args()
    failed = 0
    for name in given.products or TRIED:
        static = COLLECTIONS[name].cadence in ("tile_degree", "once")
        wanted = Wanted(name, given.out / name, BOX, None if static else DAY, TRIED[name])
        planned = plan(wanted)
        print(f"{name:<16} {planned.count} files, about {planned.size / 1e6:.1f} MB", flush=True)
        told = fetch([wanted], policy=Policy(attempts=3), whole=name != CUT)
        faults = [str(failure.problem) for failure in told.failures]
        for note in told.notes:
            print(f"{'':<16} {note}")
        if name == CUT and told.files and not told.cut:
            faults.append("Harmony cut nothing, for the reason above")
        if not faults:
            try:
                cube = PRODUCTS[name].open(wanted.folder)
                print(f"{'':<16} opened: {dict(cube.sizes)}, {', '.join(map(str, cube.data_vars))}")
            except VadoseError as error:
                faults.append(f"it came and cannot be read: {error}")
        for fault in faults:
            print(f"{'':<16} FAILED: {fault}")
        failed += bool(faults)
    print(f"{len(given.products or TRIED) - failed} of {len(given.products or TRIED)} work.")
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
