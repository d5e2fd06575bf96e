"""Damage copies of the native files in every way we could think of, and see what the readers say.

A variant is one file, damaged once. It is read in another process, with a limit in time and memory, by
opening it, loading all of it and checking the values, as the pipeline does. What comes out is one of:

``clear_errors``
    A `VadoseError` that names the file.
``correct_reads``
    The values, grid and times of the intact file, bit for bit; or, where whole variables were damaged,
    the others, without the masks and reasons that came of those taken away; or station data of which a
    value was dropped and counted by its flag.
``silent_nan``
    Other values than those of the intact file, some of them perhaps NaN, and not a word about it,
    although the format guards what was damaged by a checksum, a signature or a rule.
``undetectable``
    The same where it does not: a flipped byte in uncompressed numbers, in headers without a checksum, in
    HDF4, TIFF, netCDF-3 or text. No reader can know.
``tracebacks``
    Any other exception, or the death of the process.
``hangs``
    No answer within the limit.

Run with ``python benchmarks/corrupt_inputs.py [--data FOLDER] [--variants 400] [--seed 0]``. Prints a
table by product and one by kind of damage, every fault with the seed that repeats it, and as its last line
one JSON object with the keys above and ``tried``.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import queue
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent))
from anatomy import format_of
from damage import DAMAGES
from readers import DATA, native_groups

#: Seconds and bytes that reading one file may take.
LIMIT, MEMORY = 20.0, 6 * 2**30
OUTCOMES = ("clear_errors", "correct_reads", "tracebacks", "hangs", "silent_nan", "undetectable")
#: Stations are not a `Product`: one archive and one file out of one.
STATIONS = (
    "native/ismn/zip_archives/ceop/Data_seperate_files_20170810_20180809.zip",
    "native/ismn/format_header_values/SMOSMANIA/*.stm",
)
#: Damage that leaves the rest of the file as it was: whole variables may then be missing.
PARTIAL = ("missing variable", "wrong type", "absurd attribute", "flipped structure", "bomb")


@dataclass(frozen=True)
class Variant:
    """Name a file, the reader, the kind of damage, and the seed that repeats it."""

    product: str
    path: str
    kind: str
    seed: tuple[int, int]


def variants(data: Path, number: int, seed: int) -> Iterator[Variant]:
    """Plan variants: each kind of damage on each product in turn, until there are enough."""
    from vadose.products import PRODUCTS

    cases = [(name, str(group[0])) for name in PRODUCTS for group in native_groups(name, data)]
    cases += [("ISMN", str(path)) for glob in STATIONS for path in sorted(data.glob(glob))[:1]]
    order = np.random.default_rng(seed)
    planned = 0
    while planned < number and cases:
        pairs = [(case, kind) for kind in DAMAGES for case in cases]
        for place in order.permutation(len(pairs)):
            (product, path), kind = pairs[place]
            if kind in _impossible(path):
                continue
            yield Variant(product, path, kind, (seed, planned))
            planned += 1
            if planned == number:
                return


@lru_cache(maxsize=64)
def _impossible(path: str) -> tuple[str, ...]:
    """List the damage that a format cannot suffer."""
    return {
        "hdf4": ("bomb", "path traversal"),
        "classic": ("path traversal",),
        "text": ("bomb", "path traversal", "flipped structure"),
    }.get(format_of(Path(path)), ())


# In the worker -----------------------------------------------------------------------------------


def read(product: str, path: Path) -> xr.Dataset:
    """Open, load and check a file."""
    from vadose.products import PRODUCTS
    from vadose.products.stations import read_ismn
    from vadose.schema import check_values

    if product == "ISMN":
        return read_ismn(path, keep=("G", "U"))
    return check_values(PRODUCTS[product].open(path).load(), source=str(path))


_intact = lru_cache(maxsize=8)(read)


def examine(variant: Variant, folder: Path) -> dict[str, str]:
    """Damage a copy, read it, and say what came of it."""
    from vadose.errors import VadoseError
    from vadose.products import PRODUCTS

    original = Path(variant.path)
    intact = _intact(variant.product, original)
    place = folder / f"{variant.seed[1]}"
    place.mkdir()
    path = place / original.name
    shutil.copyfile(original, path)
    names = PRODUCTS[variant.product].variables if variant.product != "ISMN" else {}
    done = DAMAGES[variant.kind](
        path, np.random.default_rng(variant.seed), "\n".join(names.values())
    )
    told = {"damage": done.text}
    try:
        found = read(variant.product, path)
    except VadoseError as error:
        if original.name not in str(error) and variant.product not in str(error):
            return told | {"outcome": "tracebacks", "detail": f"names no file: {error}"}
        return told | {"outcome": "clear_errors", "detail": f"{error}".replace(str(place), "")}
    except Exception as error:
        return told | {"outcome": "tracebacks", "detail": f"{type(error).__name__}: {error}"}
    finally:
        shutil.rmtree(place)
    if variant.kind == "missing variable":
        found = _where_masked(intact, found)
    difference = compare(intact, found, is_partial=variant.kind in PARTIAL)
    if not difference:
        return told | {"outcome": "correct_reads", "detail": ""}
    outcome = "silent_nan" if done.is_guarded else "undetectable"
    return told | {"outcome": outcome, "detail": difference}


def compare(intact: xr.Dataset, found: xr.Dataset, *, is_partial: bool) -> str:
    """Say in which way a cube differs from the intact one, or nothing."""
    lost = set(intact.data_vars) - set(found.data_vars)
    if lost and not is_partial:
        return f"without {sorted(map(str, lost))}"
    if set(found.data_vars) - set(intact.data_vars):
        return f"with {sorted(map(str, found.data_vars))}"
    for name in ("time", "y", "x"):
        if name in intact.coords and not np.array_equal(intact[name].values, found[name].values):
            return f"other {name}"
    for name, array in found.data_vars.items():
        if name == "flag_count":  # a report on the other variable
            continue
        before, after = intact[name].values, array.values
        if before.shape != after.shape:
            return f"{name} of {after.shape}"
        same = (before == after) | ((before != before) & (after != after))
        if not same.all():
            gone = int((np.isfinite(before) & ~np.isfinite(after)).sum())
            if gone == int((~same).sum()) and gone <= _newly_counted(intact, found):
                continue
            return f"{name}: {int((~same).sum())} other values, {gone} of them gone"
    return ""


def _where_masked(intact: xr.Dataset, found: xr.Dataset) -> xr.Dataset:
    """Gap what the intact file gaps: a mask or flag that was taken away whole cannot be applied."""
    shared = [name for name in found.data_vars if name in intact and name != "flag_count"]
    if any(intact[name].shape != found[name].shape for name in shared):
        return found
    masked: dict[Any, xr.DataArray] = {
        name: found[name].where(np.isfinite(intact[name].values))
        for name in shared
        if found[name].dtype.kind == "f"
    }
    if "quality" in shared:
        first = intact[shared[0]]
        is_gap = np.isnan(first.values) if first.dtype.kind == "f" else np.zeros(first.shape, "?")
        added = found["quality"].values & ~intact["quality"].values
        if not added[~is_gap].any():
            masked["quality"] = intact["quality"]
    return found.assign(masked)


def _newly_counted(intact: xr.Dataset, found: xr.Dataset) -> int:
    """Count the values of stations that were dropped and are counted by their flag."""
    if "flag_count" not in found:
        return 0
    before, after = (
        dict(zip(cube["flag"].values, cube["flag_count"].values.sum(axis=0), strict=True))
        for cube in (intact, found)
    )
    return sum(max(int(number) - int(before.get(flag, 0)), 0) for flag, number in after.items())


def work() -> None:
    """Answer variants that come as lines of JSON until there are no more."""
    import resource
    import warnings

    import dask

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    with dask.config.set(scheduler="synchronous"):
        for line in sys.stdin:
            asked = json.loads(line)
            variant = Variant(**{**asked["variant"], "seed": tuple(asked["variant"]["seed"])})
            answers.write(json.dumps(examine(variant, Path(asked["folder"]))) + "\n")
            answers.flush()


# Around the workers ------------------------------------------------------------------------------


class Worker:
    """Hold a process that reads damaged files, and start another when it dies or hangs."""

    def __init__(self, folder: Path, limit: float = LIMIT) -> None:
        self.folder, self.limit = folder, limit
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, variant: Variant) -> dict[str, str]:
        """Have one variant examined."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--work"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
            limit = self.limit + 30  # it has to import first
        else:
            limit = self.limit
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        asked = {"variant": variant.__dict__, "folder": str(self.folder)}
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        answer = b""
        end = time.monotonic() + limit
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], max(end - time.monotonic(), 0))
            if not ready:
                self.stop()
                return {"outcome": "hangs", "detail": f"no answer in {limit:g} s"}
            part = process.stdout.read(65536)
            if not part:
                code, words = self.stop()
                return {"outcome": "tracebacks", "detail": f"process died ({code}): {words[-300:]}"}
            answer += part
        return dict(json.loads(answer))

    def stop(self) -> tuple[int, str]:
        """End the process; give its exit code and last words."""
        if self.process is None:
            return 0, ""
        process, self.process = self.process, None
        process.kill()
        _, words = process.communicate()
        return process.returncode, words.decode(errors="replace")


def run(
    planned: list[Variant], *, workers: int = 2, limit: float = LIMIT
) -> list[tuple[Variant, dict[str, str]]]:
    """Examine variants in a few processes."""
    waiting: queue.SimpleQueue[Variant] = queue.SimpleQueue()
    for variant in sorted(
        planned, key=lambda one: (one.product, one.path)
    ):  # intact cubes are kept
        waiting.put(variant)
    results: list[tuple[Variant, dict[str, str]]] = []

    def serve(folder: Path) -> None:
        worker = Worker(folder, limit)
        with contextlib.suppress(queue.Empty):
            while True:
                variant = waiting.get_nowait()
                results.append((variant, worker.ask(variant)))
        worker.stop()

    with tempfile.TemporaryDirectory(prefix="vadose-corrupt-") as folder:
        threads = [threading.Thread(target=serve, args=(Path(folder),)) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return results


def count(results: list[tuple[Variant, dict[str, str]]]) -> dict[str, int]:
    """Count the outcomes."""
    found = collections.Counter(answer["outcome"] for _, answer in results)
    return {"tried": len(results), **{outcome: found[outcome] for outcome in OUTCOMES}}


def tabulate(results: list[tuple[Variant, dict[str, str]]], attribute: str) -> str:
    """Write a table of outcomes by product or kind."""
    groups: dict[str, list[Any]] = collections.defaultdict(list)
    for result in results:
        groups[getattr(result[0], attribute)].append(result)
    heads = ("tried", *OUTCOMES)
    lines = [f"{attribute:<20}" + "".join(f"{head:>14}" for head in heads)]
    for name in sorted(groups):
        counted = count(groups[name])
        lines.append(f"{name:<20}" + "".join(f"{counted[head]:>14}" for head in heads))
    return "\n".join(lines)


def main() -> None:
    """Try variants and print what came of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of native files")
    parser.add_argument("--variants", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="a product, to look at it alone")
    parser.add_argument("--verbose", action="store_true", help="tell each variant")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    planned = list(variants(options.data.resolve(), options.variants, options.seed))
    planned = [one for one in planned if options.only in ("", one.product)]
    results = run(planned, workers=options.workers)
    for variant, answer in sorted(results, key=lambda result: result[0].seed):
        if options.verbose or answer["outcome"] in ("tracebacks", "hangs", "silent_nan"):
            print(f"{variant.seed} {variant.product}, {Path(variant.path).name}: {variant.kind}, "
                  f"{answer.get('damage')}\n    {answer['outcome']}: {answer['detail']}")  # fmt: skip
    print(tabulate(results, "product"))
    print()
    print(tabulate(results, "kind"))
    print(json.dumps(count(results)))


if __name__ == "__main__":
    main()
