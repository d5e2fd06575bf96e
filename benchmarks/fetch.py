"""Five hundred files from a server with the faults of archives: what comes, what is repeated, what fails.

The server (see `archive_server`) answers as NASA's search and data servers do and is asked through
earthaccess; a part of the files is busy, cut short, wrong or behind a login for the first attempts, some are
withdrawn for good, and some have names that lead out of the folder. A second run is then counted. Run from
the root of the repository::

    python benchmarks/fetch.py [--files 500] [--workers 4]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from archive_server import Archive, archive

from vadose.products.fetching import Policy, Wanted, fetch

FIRST = date(2018, 1, 1)
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
        served.add_granule(name, rng.bytes(int(size * rng.uniform(0.5, 1.5))))
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
        served.add_granule(name, b"evil", url=f"{served.url}/data/{name}")
    counts["evil names"] = len(EVIL)
    return counts


def everything(folder: Path) -> set[Path]:
    """List all files below a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


def main() -> None:
    """Serve, fetch twice, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--size", type=int, default=200_000, help="bytes of a usual file")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    os.environ["EARTHDATA_TOKEN"] = "token-of-nobody"  # noqa: S105
    policy = Policy(attempts=6, pause=0.02, longest_pause=0.2, timeout=10, workers=given.workers)
    last = FIRST + timedelta(days=given.files - 1)
    with tempfile.TemporaryDirectory() as place, archive() as served:
        folder = Path(place, "study/data/SPL3SMP_E")
        wanted = Wanted("SPL3SMP_E", folder, (73, 18, 136, 54), (str(FIRST), str(last)))
        counts = fill(served, given.files, given.size, given.seed)
        started = time.perf_counter()
        first = fetch([wanted], servers=served.servers, policy=policy)
        spent = time.perf_counter() - started
        asked = served.count()
        whole = sum(
            (folder / name).is_file() and (folder / name).read_bytes() == content
            for name, content in served.files.items()
            if name.startswith("SMAP") and len(name) < 100
        )
        again = fetch([wanted], servers=served.servers, policy=policy)
        second = served.count() - asked
        for faults in served.faults.values():
            faults.clear()
        third_from = served.count()
        mended = fetch([wanted], servers=served.servers, policy=policy)
        third = served.count() - third_from
        ours = {folder / name for name in served.files if len(name) < 100}
        ours |= {Path(place, "study/data", name) for name in ("fetched.jsonl", ".vadose.lock")}
        outside = len(everything(Path(place)) - ours) + sum(
            Path("/tmp", f"evil_{number}.h5").exists()  # noqa: S108
            for number in range(1, 6)
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
    print(
        f"\nFirst run: {whole} of {given.files} files byte for byte, {first.bytes / 1e6:.0f} MB in {spent:.1f} s with "
        f"{given.workers} at a time. The second asks for what was withdrawn, and searches anew as long as the "
        "archive offers names that are refused; where nothing failed it asks for nothing."
    )
    told = {
        "files": whole,
        "retried": first.retried,
        "failed": len(first.failures),
        "requests_second_run": second,
        "outside_target": outside,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
