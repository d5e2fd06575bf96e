"""Five hundred files from a server with the faults of archives: what comes, what is repeated, what fails.

The server (see `archive_server`) answers as NASA's search and data servers do and is asked through
earthaccess; a part of the files is busy, cut short, wrong or behind a login for the first attempts, some are
withdrawn for good, and some have names that lead out of the folder. Some more are maps that the archive cuts
to a box (see `harmony_server`), but for those that it fails to cut, which come whole. A second run is then
counted. Run from the root of the repository::

    python benchmarks/fetch.py [--files 500] [--cut 20] [--workers 4]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent))
from archive_server import Archive
from harmony_server import Cutter, harmony_archive

from vadose.products import PRODUCTS
from vadose.products.fetching import Policy, Wanted, fetch

FIRST = date(2018, 1, 1)
BOX = (73.0, 18.0, 136.0, 54.0)
#: Faults that pass, by the share of files that have them.
PASSING = {
    ("429",): 0.04,
    ("503", "503"): 0.04,
    ("500",): 0.02,
    ("cut",): 0.06,
    ("cut", "cut", "429"): 0.02,
    ("wrong",): 0.03,
    ("longer",): 0.01,
    ("empty",): 0.02,
}
#: Share of files that were withdrawn.
WITHDRAWN = 0.01
#: Names that a server of good will does not give.
EVIL = (
    "../../evil_1.h5",
    "/tmp/evil_2.h5",  # noqa: S108
    "..\\evil_3.h5",
    "SMAP_L3_SM_P_E_" + "1" * 4000 + "_R18290_001.h5",
    ".evil_4.h5",
    "%2e%2e%2fevil_5.h5",
)


def fill(served: Archive, files: int, size: int, seed: int) -> dict[str, int]:
    """Give the server its files and faults; returns how many files have which."""
    rng = np.random.default_rng(seed)
    names = []
    for step in range(files):
        name = f"SMAP_L3_SM_P_E_{FIRST + timedelta(days=step):%Y%m%d}_R18290_001.h5"
        content = rng.bytes(int(size * rng.uniform(0.5, 1.5)))
        served.add_granule(name, content, collection="C2-TEST", short_name="SPL3SMP_E")
        names.append(name)
    shuffled = [names[place] for place in rng.permutation(files)]
    counts = {}
    for faults, share in PASSING.items():
        counts[" ".join(faults)] = round(share * files)
        for _ in range(round(share * files)):
            served.faults[shuffled.pop()] = list(faults)
    counts["404 for good"] = round(WITHDRAWN * files)
    for _ in range(round(WITHDRAWN * files)):
        served.faults[shuffled.pop()] = ["404"] * 99
    for name in EVIL:
        address = f"{served.url}/data/{name}"
        served.add_granule(name, b"evil", url=address, short_name="SPL3SMP_E")
    counts["evil names"] = len(EVIL)
    return counts


def rain(step: int) -> str:
    """Name a granule that can be cut."""
    return f"3B-DAY.MS.MRG.3IMERG.{FIRST + timedelta(days=step):%Y%m%d}-S000000-E235959.V07B.nc4"


def fill_maps(served: Archive, cutter: Cutter, count: int, seed: int) -> None:
    """Give the server maps that it can cut, some only after a while, some not, one under a name that is none."""
    rng = np.random.default_rng(seed)
    axes = {"lon": np.arange(-179.75, 180, 0.5), "lat": np.arange(-89.75, 90, 0.5)}
    for step in range(count):
        day = (FIRST - date(1970, 1, 1)).days + step
        values = rng.gamma(0.5, 8.0, (1, 720, 360)).astype("f4")
        whole = xr.Dataset(
            {"precipitation": (("time", "lon", "lat"), values, {"units": "mm/day"})},
            {
                "time": ("time", [day], {"units": "days since 1970-01-01", "calendar": "julian"}),
                **axes,
            },
        )
        content = bytes(whole.to_netcdf(engine="h5netcdf"))
        served.add_granule(rain(step), content, collection="C1-TEST", short_name="GPM_3IMERGDF")
        kept = rain(step).replace(".nc4", "_subsetted.nc4")
        if step % 10 == 1:
            served.faults[kept] = ["503", "cut"]
        elif step % 10 == 2:
            cutter.failing.add(rain(step))
    cutter.names = {rain(0): "../../evil_6.nc4"}
    cutter.states = [["accepted", "running", "complete_with_errors"]]
    cutter.can_cut()
    served.faults |= {"capabilities": ["429"], "submit": ["503"], "status": ["429"]}


def cut_map(content: bytes, box: tuple[float, float, float, float], _: list[str]) -> bytes:
    """Cut a map to a box, as the archive does."""
    west, south, east, north = box
    with xr.open_dataset(io.BytesIO(content), decode_cf=False, engine="h5netcdf") as whole:
        part = whole.sel(lon=slice(west, east), lat=slice(south, north)).load()
        return bytes(part.to_netcdf(engine="h5netcdf"))


def is_same(path: Path, content: bytes) -> bool:
    """Tell whether the reader gives over the box what the whole map holds there."""
    west, south, east, north = BOX
    with xr.open_dataset(io.BytesIO(content), engine="h5netcdf", decode_times=False) as whole:
        part = whole["precipitation"].sel(lon=slice(west, east), lat=slice(south, north))
        expected = part.transpose("time", "lat", "lon").values[:, ::-1]
    found = PRODUCTS["IMERG_DAILY"].open(path, BOX)["precipitation"].values
    return found.tobytes() == expected.astype("f4").tobytes()


def everything(folder: Path) -> set[Path]:
    """List all files below a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


def main() -> None:
    """Serve, fetch twice, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--size", type=int, default=200_000, help="bytes of a usual file")
    parser.add_argument("--cut", type=int, default=20, help="maps that the archive can cut")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    os.environ["EARTHDATA_TOKEN"] = "token-of-nobody"  # noqa: S105
    policy = Policy(attempts=6, pause=0.02, longest_pause=0.2, timeout=10, workers=given.workers)
    last = FIRST + timedelta(days=given.files - 1)
    with tempfile.TemporaryDirectory() as place, harmony_archive(cut_map) as (served, cutter):
        folder = Path(place, "study/data/SPL3SMP_E")
        maps = folder.with_name("IMERG_DAILY")
        days = str(FIRST), str(last)
        wanted = [Wanted("SPL3SMP_E", folder, BOX, days)]
        if given.cut:
            days = str(FIRST), str(FIRST + timedelta(days=given.cut - 1))
            wanted.append(Wanted("IMERG_DAILY", maps, BOX, days))
        counts = fill(served, given.files, given.size, given.seed)
        fill_maps(served, cutter, given.cut, given.seed)
        started = time.perf_counter()
        first = fetch(wanted, servers=served.servers, policy=policy)
        spent = time.perf_counter() - started
        asked = served.count()
        whole = sum(
            (folder / name).is_file() and (folder / name).read_bytes() == content
            for name, content in served.files.items()
            if name.startswith("SMAP") and len(name) < 100
        )
        same = sum(
            (maps / rain(step)).is_file() and is_same(maps / rain(step), served.files[rain(step)])
            for step in range(given.cut)
        )
        again = fetch(wanted, servers=served.servers, policy=policy)
        second = served.count() - asked
        for faults in served.faults.values():
            faults.clear()
        third_from = served.count()
        mended = fetch(wanted, servers=served.servers, policy=policy)
        third = served.count() - third_from
        ours = {folder / name for name in served.files if len(name) < 100}
        ours |= {maps / rain(step) for step in range(given.cut)}
        ours |= {Path(place, "study/data", name) for name in ("fetched.jsonl", ".vadose.lock")}
        outside = len(everything(Path(place)) - ours) + sum(
            Path("/tmp", f"evil_{number}.h5").exists()  # noqa: S108
            for number in range(1, 7)
        )

    print(f"{'files with a fault':<24}{'count':>8}")
    for words, count in counts.items():
        print(f"{words:<24}{count:>8}")
    print()
    rows = {
        "first run": (first, asked),
        "second run": (again, second),
        "after the faults": (mended, third),
    }
    print(f"{'':<18}{'new':>6}{'kept':>6}{'retried':>9}{'failed':>8}{'requests':>10}")
    for words, (told, count) in rows.items():
        print(
            f"{words:<18}{told.files:>6}{told.kept:>6}{told.retried:>9}{len(told.failures):>8}{count:>10}"
        )
    print("\n" + "\n".join(first.notes))
    print(
        f"\nFirst run: {whole} of {given.files} files byte for byte, {first.bytes / 1e6:.0f} MB in {spent:.1f} s with "
        f"{given.workers} at a time; of {given.cut} maps that can be cut {first.cut} came cut, and {same} hold what the "
        "whole ones do. The second asks for what was withdrawn, and searches anew as long as the "
        "archive offers names that are refused; where nothing failed it asks for nothing."
    )
    told = {
        "files": whole + same,
        "retried": first.retried,
        "failed": len(first.failures),
        "requests_second_run": second,
        "outside_target": outside,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
