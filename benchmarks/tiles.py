"""Speed and memory of the map's tiles, from a real server process, for a day of 10,000 x 10,000 cells.

A store of one day is made in a temporary folder, in shards, as a run writes it: moist valleys, gaps, and noise from
cell to cell, so that tiles are as hard to pack as real ones. The server is the command ``vadose serve``.

1. *First*: one far tile of each layer, for which the whole day is read. The next are cut from what was drawn.
2. *One map*: a browser's six connections ask for tiles that nobody has asked for, of all levels and places. Its
   median and 95th percentile are ``median_ms`` and ``p95_ms``.
3. *Crowd*: 200 connections ask without pause, round after round. They wait for each other; what counts is that
   none fails and that memory stays: ``peak_mb`` is the most that the process ever held, ``growth_mb`` by how much
   the last round raised it.

The column CPU is what the server computed for one request: it says what to expect of a machine that has nothing else
to do, while the times are of this machine as it is.

The last line is one JSON object. Run from the root of the repository::

    python benchmarks/tiles.py [--side 10000] [--clients 200] [--rounds 4]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import morecantile
import numpy as np
import xarray as xr

from vadose.grids import coarsened, coordinates, latlon
from vadose.schema import variable
from vadose.schema.flags import ORIGIN
from vadose.store import create_store, finish_store, layout_of, write_cube, write_tile

#: Degrees of the box, south-west corner, and cells of a shard and of a coarse cell along a side.
DEGREES, WEST, SOUTH, SHARD, FACTOR = 40.0, 80.0, 18.0, 1000, 100
TIME = np.array(["2019-07-01"], "M8[ns]")
LAYERS = ("fine", "difference")
#: Connections that a browser opens to one server, and tiles asked for over them.
BROWSER, TILES = 6, 240
#: Requests of each connection of the crowd in a round.
EACH = 8


def make_run(folder: Path, side: int) -> None:
    """Write product and coarse input of one day, shard by shard."""
    grid = latlon(DEGREES / side, (WEST, SOUTH, WEST + DEGREES, SOUTH + DEGREES))
    empty = np.broadcast_to(np.float32(0), (1, side, side))
    codes = np.broadcast_to(np.uint8(0), (1, side, side))
    dims = ("time", "y", "x")
    template = xr.Dataset(
        {
            "soil_moisture": (dims, empty, variable("soil_moisture").attributes()),
            "origin": (dims, codes, {**variable("origin").attributes(), **ORIGIN.attributes()}),
        },
        coords={**coordinates(grid), "time": TIME},
    )
    shard = min(SHARD, side)
    path = folder / "product.zarr"
    create_store(path, template, layout_of({"time": 1, "y": shard, "x": shard}, is_packed=True))
    rng = np.random.default_rng(0)
    for top in range(0, side, shard):
        for left in range(0, side, shard):
            window = {"y": slice(top, top + shard), "x": slice(left, left + shard)}
            tile = template.isel(window).drop_vars(list(template.data_vars))
            field = moisture(top, left, shard, rng)
            tile["soil_moisture"] = (dims, field[None])
            origin = np.where(np.isfinite(field), ORIGIN.code("downscaled"), ORIGIN.code("masked"))
            tile["origin"] = (dims, origin[None].astype("u1"))
            write_tile(path, tile, window)
    finish_store(path)
    cells = side // FACTOR
    coarse = np.full((1, cells, cells), 0.25, "f4")
    cube = xr.Dataset(
        {"soil_moisture": (dims, coarse, variable("soil_moisture").attributes())},
        coords={**coordinates(coarsened(grid, FACTOR)), "time": TIME},
    )
    write_cube(cube, folder / "coarse.zarr")
    (folder / "manifest.json").write_text(json.dumps({"title": "A large day", "method": "none"}))


def moisture(top: int, left: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Give a shard of the field: waves, noise, and a gap."""
    row, column = np.arange(top, top + side)[:, None], np.arange(left, left + side)
    waves = np.sin(row / 300) * np.cos(column / 400) + 0.4 * np.sin((row + column) / 23)
    field = 0.25 + 0.08 * waves + 0.02 * rng.normal(size=(side, side))
    field[np.sin(row / 900) * np.sin(column / 700) > 0.9] = np.nan
    return np.clip(field, 0.01, 0.6).astype("f4")


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[int, int]]:
    """Run the command; give its port and process."""
    command = [sys.executable, "-m", "vadose.cli", "serve", str(folder), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found is not None
            yield int(found.group(1)), process.pid
        finally:
            process.terminate()


def megabytes(pid: int) -> float:
    """Give the most memory that a process has ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024  # type: ignore[union-attr]


def cpu(pid: int) -> float:
    """Give the seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Connection:
    """Is one connection that is kept open, as a browser's."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None

    async def get(self, path: str) -> tuple[int, bytes]:
        """Ask, and give status and body."""
        if self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await self.writer.drain()
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))  # type: ignore[union-attr]
        return int(head.split(None, 2)[1]), await self.reader.readexactly(size)

    async def close(self) -> None:
        """Hang up."""
        if self.reader is not None:
            self.writer.close()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()


def addresses(count: int, rng: np.random.Generator, deepest: int) -> list[str]:
    """Choose tiles of all levels over the box; near levels, which have more tiles, more often."""
    tiles = morecantile.tms.get("WebMercatorQuad")
    chosen: dict[str, None] = {}
    while len(chosen) < count:
        level = int(rng.choice(np.arange(3, deepest + 1)))
        tile = tiles.tile(WEST + DEGREES * rng.random(), SOUTH + DEGREES * rng.random(), level)
        layer = LAYERS[len(chosen) % len(LAYERS)]
        chosen[f"/api/tiles/{layer}/2019-07-01/{tile.z}/{tile.x}/{tile.y}.png"] = None
    return list(chosen)


async def ask_all(port: int, paths: list[str], clients: int) -> tuple[np.ndarray, int]:
    """Ask for all tiles over so many connections; give milliseconds and the number of failures."""
    taken, errors = [], 0
    left = iter(paths)

    async def one() -> None:
        nonlocal errors
        connection = Connection(port)
        for path in left:
            start = time.perf_counter()
            try:
                status, body = await asyncio.wait_for(connection.get(path), 60)
                if status != 200 or body[:4] != b"\x89PNG":
                    errors += 1
            except (TimeoutError, OSError, asyncio.IncompleteReadError):
                errors += 1
                connection = Connection(port)
            taken.append(1000 * (time.perf_counter() - start))
        await connection.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return np.array(taken), errors


async def measure(port: int, pid: int, clients: int, rounds: int) -> dict[str, float]:
    """Go through the three parts and print their rows."""
    rng = np.random.default_rng(1)
    await Connection(port).get("/api/map")
    print(
        f"{'':24s}{'requests':>9s}{'median':>9s}{'95 %':>9s}{'most':>9s}{'errors':>8s}{'CPU':>8s}{'peak MB':>9s}"
    )
    first = [f"/api/tiles/{layer}/2019-07-01/4/12/6.png" for layer in LAYERS]
    requests = wrong = 0

    async def part(name: str, paths: list[str], at_once: int) -> np.ndarray:
        nonlocal requests, wrong
        before = cpu(pid)
        taken, errors = await ask_all(port, paths, at_once)
        each = 1000 * (cpu(pid) - before) / len(paths)
        requests, wrong = requests + len(taken), wrong + errors
        median, most = np.median(taken), taken.max()
        print(
            f"{name:24s}{len(taken):9d}{median:7.0f}ms{np.quantile(taken, 0.95):7.0f}ms{most:7.0f}ms"
            f"{errors:8d}{each:6.0f}ms{megabytes(pid):9.0f}"
        )
        return taken

    drawn = await part("first of a layer", first, 1)
    paths = addresses(TILES + clients * EACH * rounds, rng, deepest=11)
    alone = await part(f"one map, {BROWSER} at a time", paths[:TILES], BROWSER)
    crowd, peaks = [], []
    for number in range(rounds):
        asked = paths[TILES + number * clients * EACH :][: clients * EACH]
        crowd.append(await part(f"crowd of {clients}, round {number + 1}", asked, clients))
        peaks.append(megabytes(pid))
    together = np.concatenate(crowd)
    return {
        "median_ms": round(float(np.median(alone)), 1),
        "p95_ms": round(float(np.quantile(alone, 0.95)), 1),
        "peak_mb": round(max(peaks), 1),
        "requests": requests,
        "errors": wrong,
        "first_ms": round(float(drawn.max()), 1),
        "crowd_median_ms": round(float(np.median(together)), 1),
        "crowd_p95_ms": round(float(np.quantile(together, 0.95)), 1),
        "growth_mb": round(peaks[-1] - peaks[-2] if len(peaks) > 1 else 0.0, 1),
    }


def main() -> None:
    """Make the day, serve it, ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=10_000, help="cells along a side")
    parser.add_argument("--clients", type=int, default=200, help="connections of the crowd")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of the crowd")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        make_run(folder, asked.side)
        print(f"{asked.side} x {asked.side} cells made in {time.perf_counter() - start:.0f} s")
        with served(folder) as (port, pid):
            found = asyncio.run(measure(port, pid, asked.clients, asked.rounds))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
