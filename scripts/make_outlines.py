"""Convert world-atlas (Natural Earth, public domain) into the outlines bundled with the report.

Usage: ``npm pack world-atlas@2.0.2`` and then ``python scripts/make_outlines.py world-atlas-2.0.2.tgz``.

A TopoJSON arc that two countries share is kept once, as a border; the rings of the land are kept as
coastlines, closed, so that they can be drawn and filled. Degrees are rounded to 0.001 (110 m, finer than
the source) and stored as differences, which compress well. The archive's time stamps are fixed: the same
input gives the same bytes.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Line = npt.NDArray[np.float64]

#: Steps of the stored integers per degree.
STEPS = 1000
TARGET = Path(__file__).parents[1] / "src" / "vadose" / "report" / "outlines.npz"


def read_topology(tarball: Path, name: str) -> dict[str, Any]:
    """Read one TopoJSON file out of the npm tarball."""
    with tarfile.open(tarball) as archive:
        member = archive.extractfile(f"package/{name}.json")
        if member is None:
            raise SystemExit(
                f"{tarball}: found no package/{name}.json; expected world-atlas 2.0.2."
            )
        topology: dict[str, Any] = json.load(member)
    return topology


def decode_arcs(topology: dict[str, Any]) -> list[Line]:
    """Turn the quantised differences of every arc into longitude and latitude."""
    scale, offset = topology["transform"]["scale"], topology["transform"]["translate"]
    return [np.cumsum(np.array(arc), axis=0) * scale + offset for arc in topology["arcs"]]


def rings_of(geometry: dict[str, Any]) -> Iterator[list[int]]:
    """Give the arc numbers of every ring of a geometry, collections included."""
    if geometry["type"] == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from rings_of(part)
    elif geometry["type"] == "Polygon":
        yield from geometry["arcs"]
    elif geometry["type"] == "MultiPolygon":
        for polygon in geometry["arcs"]:
            yield from polygon


def join(ring: list[int], arcs: list[Line]) -> Line:
    """Join the arcs of a ring; a negative number means the arc runs backwards."""
    parts = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in ring]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def coastlines(topology: dict[str, Any]) -> list[Line]:
    """Give the closed rings of the land."""
    arcs = decode_arcs(topology)
    return [join(ring, arcs) for ring in rings_of(topology["objects"]["land"])]


def borders(topology: dict[str, Any]) -> list[Line]:
    """Give the arcs that belong to more than one country, each once."""
    owners: dict[int, set[int]] = defaultdict(set)
    for country, geometry in enumerate(topology["objects"]["countries"]["geometries"]):
        for ring in rings_of(geometry):
            for number in ring:
                owners[number if number >= 0 else ~number].add(country)
    arcs = decode_arcs(topology)
    return [arcs[number] for number in sorted(owners) if len(owners[number]) > 1]


def pack(lines: list[Line]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Give the differences of all points in one row after another, and the length of each line."""
    rounded = [np.rint(line * STEPS).astype("i4") for line in lines]
    kept = []
    for line in rounded:
        is_new = np.r_[True, np.any(np.diff(line, axis=0) != 0, axis=1)]
        if is_new.sum() > 1:
            kept.append(line[is_new])
    points = np.concatenate(kept)
    lengths = np.array([len(line) for line in kept], "i4")
    return np.diff(points, axis=0, prepend=np.zeros((1, 2), "i4")), lengths


def write(path: Path, arrays: dict[str, npt.NDArray[np.int32]]) -> None:
    """Write an npz archive without time stamps."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def main() -> None:
    """Read the tarball named on the command line and write the package data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tarball", type=Path, help="world-atlas-2.0.2.tgz")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    countries = read_topology(arguments.tarball, "countries-50m")
    layers = {
        "coast_110m": coastlines(read_topology(arguments.tarball, "land-110m")),
        "coast_50m": coastlines(countries),
        "borders_50m": borders(countries),
    }
    arrays: dict[str, npt.NDArray[np.int32]] = {}
    for name, lines in layers.items():
        arrays[name], arrays[f"{name}_lengths"] = pack(lines)
        print(f"{name}: {len(lines)} lines, {len(arrays[name])} points")
    write(arguments.target, arrays)
    print(f"{arguments.target.name}: {arguments.target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
