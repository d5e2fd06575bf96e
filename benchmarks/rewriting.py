"""Files written anew with one thing changed, for formats that cannot be edited in place."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from scipy.io import netcdf_file


def rewrite_tiff(path: Path, **changes: Any) -> None:
    """Write a GeoTIFF anew with other keywords of its profile, scales or descriptions."""
    with rasterio.open(path) as file:
        profile, values = dict(file.profile), file.read()
        scales = changes.pop("scales", file.scales)
        texts = changes.pop("descriptions", file.descriptions)
    if "dtype" in changes:
        values = values.astype(changes["dtype"])
        profile.pop("nodata")
    if "nodata" in changes and values.dtype.kind != "f":
        values, profile["dtype"] = values.astype("f4"), "float32"
    profile |= changes
    path.unlink()
    with rasterio.open(
        path, "w", **{key: v for key, v in profile.items() if v is not None}
    ) as file:
        file.write(values)
        file.scales = scales
        if texts[0]:
            file.set_band_description(1, texts[0])


def classic_names(path: Path) -> list[str]:
    """List the variables of a netCDF-3 file."""
    with netcdf_file(str(path), mmap=False) as file:
        return list(file.variables)


def rewrite_classic(
    path: Path,
    *,
    types: dict[str, str] | None = None,
    leave_out: str = "",
    attributes: dict[str, dict[str, Any]] | None = None,
) -> None:
    """Write a netCDF-3 file anew with changes."""
    with netcdf_file(str(path), mmap=False) as old, netcdf_file(str(path) + "~", "w") as new:
        for name, size in sorted(old.dimensions.items(), key=lambda item: item[1] is not None):
            new.createDimension(name, size)
        new._attributes.update(old._attributes)
        new.__dict__.update(old._attributes)
        for name, stored in old.variables.items():
            if name == leave_out:
                continue
            kind = (types or {}).get(name, stored.data.dtype.newbyteorder("="))
            variable = new.createVariable(name, kind, stored.dimensions)
            values = np.full(stored.shape, b"x", "S1") if kind == "c" else stored.data
            if stored.shape:
                variable[:] = values
            else:
                variable.assignValue(values)
            for key, value in {**stored._attributes, **(attributes or {}).get(name, {})}.items():
                variable._attributes[key] = np.int32(value) if isinstance(value, int) else value
    Path(str(path) + "~").replace(path)


def hdf4_names(path: Path, wanted: str) -> list[str]:
    """List the layers of an HDF4 file that a product's record mentions, all where it mentions none."""
    from pyhdf.SD import SD

    file = SD(str(path))
    try:
        names = list(file.datasets())
    finally:
        file.end()
    return [
        name for name in names if any(re.fullmatch(word, name) for word in wanted.split("\n"))
    ] or names


def rewrite_hdf4(
    path: Path,
    *,
    types: dict[str, int] | None = None,
    leave_out: str = "",
    attributes: dict[str, dict[str, Any]] | None = None,
) -> None:
    """Write an HDF4 file anew with changes; what pyhdf cannot write stays away."""
    from pyhdf.SD import SD, SDC

    old, new = SD(str(path)), SD(str(path) + "~", SDC.WRITE | SDC.CREATE | SDC.TRUNC)
    for name, value in old.attributes().items():
        if name != leave_out:
            setattr(new, name, (attributes or {}).get(name, {}).get("text", value))
    for name, (dims, shape, code, _) in old.datasets().items():
        if name == leave_out:
            continue
        stored = old.select(name)
        values = stored.get()
        code = (types or {}).get(name, code)
        layer = new.create(name, code, shape)
        for axis, dim in enumerate(dims):
            layer.dim(axis).setname(dim)
        numbers = {
            4: "u1",
            5: "f4",
            6: "f8",
            20: "i1",
            21: "u1",
            22: "i2",
            23: "u2",
            24: "i4",
            25: "u4",
        }
        for key, value in {**stored.attributes(), **(attributes or {}).get(name, {})}.items():
            if isinstance(value, np.ndarray):
                value = value.tolist()
            if isinstance(value, bytes):
                value = value.decode("latin-1")
            setattr(layer, key, value)
        layer.set(values.astype(numbers[code]))
        layer.endaccess()
        stored.endaccess()
    old.end()
    new.end()
    Path(str(path) + "~").replace(path)


def edit_text(path: Path, rng: np.random.Generator) -> str:
    """Put nonsense into a line of a text file; of an archive, into its first text."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = [(member, archive.read(member)) for member in archive.infolist()]
        place = next(n for n, (m, _) in enumerate(members) if "_sm_" in m.filename)
        text, told = _with_nonsense(members[place][1].decode(), rng)
        members[place] = (members[place][0], text.encode())
        path.unlink()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members:
                archive.writestr(member.filename, content)
        return told
    text, told = _with_nonsense(path.read_text(), rng)
    path.write_text(text)
    return told


def _with_nonsense(text: str, rng: np.random.Generator) -> tuple[str, str]:
    lines = text.splitlines()
    place = int(rng.integers(1, len(lines)))
    words = lines[place].split()
    column = int(rng.integers(len(words)))
    new = str(rng.choice(["nonsense", "2019/02/30", "", "1e999", "\x00\x00"]))
    words[column] = new
    lines[place] = " ".join(words)
    return "\n".join(lines) + "\n", f"line {place}, word {column}: {new!r}"
