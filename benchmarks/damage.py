"""Ways in which a file arrives damaged: cut, with flipped bytes, with the wrong things in it, hostile.

Each function changes one copy of a good file in place and says what it did, and whether a checksum or a
signature guards those bytes: a change elsewhere cannot be noticed by any reader of that format.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from anatomy import datasets, format_of, read_ones, stored_blocks, structure_places
from rasterio.transform import Affine
from rewriting import (
    classic_names,
    edit_text,
    hdf4_names,
    rewrite_classic,
    rewrite_hdf4,
    rewrite_tiff,
)

Rng = np.random.Generator


@dataclass(frozen=True)
class Damage:
    """Say what was done to a file, and whether a reader could notice.

    Attributes
    ----------
    text
        What was done.
    is_guarded
        Whether all of it lies where the format has a checksum, a signature or a rule that it breaks.
    """

    text: str
    is_guarded: bool = True


# Damage to bytes ---------------------------------------------------------------------------------


def _flip(path: Path, places: Iterable[int], rng: Rng) -> list[int]:
    content = bytearray(path.read_bytes())
    done = [int(place) for place in places if place < len(content)]
    for place in done:
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    return done


def truncate(path: Path, rng: Rng, wanted: str) -> Damage:
    """Cut the file, as a broken download does."""
    size = path.stat().st_size
    kept = int(
        rng.choice(
            [5, size // 100, size // 3, size * 2 // 3, size * 19 // 20, size - 600, size - 1]
        )
    )
    path.write_bytes(path.read_bytes()[: max(kept, 1)])
    return Damage(f"cut to {max(kept, 1)} of {size} bytes", format_of(path) != "text")


def flip_data(path: Path, rng: Rng, wanted: str) -> Damage:
    """Flip bytes inside blocks of data that are read, several where the format does not say whose."""
    blocks = stored_blocks(path, wanted)
    number = len(blocks) if format_of(path) == "hdf4" else 1
    chosen = [blocks[place] for place in rng.permutation(len(blocks))[:number]]
    places = [offset + int(rng.integers(2, max(size - 4, 3))) for offset, size, _ in chosen]
    return Damage(f"data bytes {_flip(path, places, rng)[:4]}", all(one[2] for one in chosen))


def flip_structure(path: Path, rng: Rng, wanted: str) -> Damage:
    """Flip a byte or two of the structure: signatures, directories, headers."""
    places, is_guarded = structure_places(path)
    return Damage(f"structure bytes {_flip(path, rng.choice(places, 2), rng)}", is_guarded)


def flip_anywhere(path: Path, rng: Rng, wanted: str) -> Damage:
    """Flip up to eight bytes anywhere, as a bad disk does."""
    blocks = stored_blocks(path, wanted)
    places = rng.integers(0, path.stat().st_size, int(rng.integers(1, 9)))
    is_guarded = all(
        any(offset <= place < offset + size for offset, size, is_safe in blocks if is_safe)
        for place in places
    )
    return Damage(f"bytes {_flip(path, places, rng)}", is_guarded)


# Damage to what is in the file -------------------------------------------------------------------

#: Attributes that make no sense, by name; readers may ignore them or refuse the file.
ABSURD: tuple[tuple[str, Any], ...] = (
    ("units", "bananas"),
    ("units", b"\xff\xfe\x00"),
    ("units", 17),
    ("scale_factor", 0.0),
    ("scale_factor", np.nan),
    ("scale_factor", 1e30),
    ("scale_factor", "a lot"),
    ("scale_factor", np.array([1.0, 2.0])),
    ("add_offset", np.inf),
    ("add_offset", "north"),
    ("_FillValue", "nothing"),
    ("_FillValue", 1e300),
    ("_FillValue", np.nan),
    ("missing_value", np.array([1.5, np.nan, -np.inf])),
    ("valid_min", "low"),
    ("valid_max", np.nan),
    ("calendar", "martian"),
    ("flag_meanings", 3.5),
    ("DIMENSION_LIST", "y x"),
    ("long_name", "x" * 50_000),
)
#: What a variable may be replaced by.
TYPES: tuple[str, ...] = ("S6", "c8", "f8", "?", "i4,f4", "object")


def _pick(path: Path, rng: Rng, wanted: str, *, with_coordinates: bool) -> str:
    with h5py.File(path) as file:
        held = datasets(file)
        names = read_ones((n for n in held if held[n].dtype.kind in "iuf"), wanted)
        if with_coordinates:
            small = ("time", "lat", "lon", "latitude", "longitude", "x", "y", "xdim", "ydim")
            names += [n for n in held if n.rsplit("/", 1)[-1].lower() in small]
    return str(rng.choice(names))


def _remove(file: h5py.File, name: str) -> None:
    """Unlink a dataset and the references that its dimension scales hold to it."""
    if file[name].is_scale if "CLASS" in file[name].attrs else False:
        for other in datasets(file).values():
            other.attrs.pop("DIMENSION_LIST", None)
    del file[name]


def retype(path: Path, rng: Rng, wanted: str) -> Damage:
    """Store a variable in another type: text, complex, records, or merely wider numbers."""
    kind, new = format_of(path), str(rng.choice(TYPES))
    if kind == "hdf5":
        name = _pick(path, rng, wanted, with_coordinates=True)
        with h5py.File(path, "r+") as file:
            values, attributes = file[name][()], dict(file[name].attrs)
            attributes.pop("DIMENSION_LIST", None)
            attributes.pop("REFERENCE_LIST", None)
            _remove(file, name)
            changed = _as_type(values, new)
            dtype = h5py.string_dtype() if new == "object" else changed.dtype
            file.create_dataset(name, data=changed, dtype=dtype)
            file[name].attrs.update(attributes)
        return Damage(f"{name} as {new}")
    if kind == "tiff":
        new = str(rng.choice(["complex64", "float64", "complex128"]))
        rewrite_tiff(path, dtype=new)
        return Damage(f"band as {new}")
    if kind == "hdf4":
        name = str(rng.choice(hdf4_names(path, wanted)))
        code = int(rng.choice([4, 5, 6, 24]))  # char, float32, float64, int32
        rewrite_hdf4(path, types={name: code})
        return Damage(f"{name} as HDF4 type {code}")
    if kind == "classic":
        name = str(rng.choice(read_ones(classic_names(path), wanted)))
        new = str(rng.choice(["c", "d"]))
        rewrite_classic(path, types={name: new})
        return Damage(f"{name} as {new}")
    return Damage(edit_text(path, rng))


def _as_type(values: Any, new: str) -> Any:
    if new == "i4,f4":
        changed = np.zeros(values.shape, new)
        changed["f1"] = values
        return changed
    if new == "object":
        return np.full(values.shape, "text", object)
    return values.astype(new)


def remove(path: Path, rng: Rng, wanted: str) -> Damage:
    """Take a variable away, or from a raster its georeference."""
    kind = format_of(path)
    if kind == "hdf5":
        name = _pick(path, rng, wanted, with_coordinates=True)
        with h5py.File(path, "r+") as file:
            _remove(file, name)
        return Damage(f"no {name}")
    if kind == "tiff":
        what = str(rng.choice(["crs", "transform"]))
        rewrite_tiff(path, **{what: None})
        return Damage(f"no {what}")
    if kind == "hdf4":
        name = str(rng.choice([*hdf4_names(path, wanted), "StructMetadata.0"]))
        rewrite_hdf4(path, leave_out=name)
        return Damage(f"no {name}")
    if kind == "classic":
        name = str(rng.choice(classic_names(path)))
        rewrite_classic(path, leave_out=name)
        return Damage(f"no {name}")
    return Damage(edit_text(path, rng))


def confuse(path: Path, rng: Rng, wanted: str) -> Damage:
    """Give a variable an attribute that makes no sense."""
    kind = format_of(path)
    key, value = ABSURD[int(rng.integers(len(ABSURD)))]
    told = f"{key} = {str(value)[:20]!r}"
    if kind == "hdf5":
        name = _pick(path, rng, wanted, with_coordinates=True)
        with h5py.File(path, "r+") as file:
            file[name].attrs.pop(key, None)
            file[name].attrs[key] = np.bytes_(value) if isinstance(value, bytes) else value
        return Damage(f"{name}: {told}")
    if kind == "tiff":
        change = [
            {"nodata": float("nan")}, {"nodata": 1e38}, {"scales": (0.0,)}, {"scales": (np.nan,)},
            {"transform": Affine(0.1, 0, 1e9, 0, -0.1, 1e9)}, {"transform": Affine(np.nan, 0, 0, 0, -1, 0)},
            {"transform": Affine(0, 0, 5, 0, 0, 5)}, {"crs": "EPSG:4978"}, {"descriptions": ("?" * 999,)},
        ][int(rng.integers(9))]  # fmt: skip
        rewrite_tiff(path, **change)
        return Damage(f"{change}"[:60])
    if kind == "hdf4":
        name = str(rng.choice(hdf4_names(path, wanted)))
        if key == "long_name":
            name, key, value = "StructMetadata.0", "text", "GROUP=GRID_1\nEND_GROUP=GRID_1\n"
            told = "no grid in it"
        rewrite_hdf4(path, attributes={name: {key: value}})
        return Damage(f"{name}: {told}")
    if kind == "classic":
        name = str(rng.choice(read_ones(classic_names(path), wanted)))
        if key == "_FillValue":  # the library cannot write one that is none
            key = "missing_value"
        rewrite_classic(path, attributes={name: {key: value}})
        return Damage(f"{name}: {told}")
    return Damage(edit_text(path, rng))


def bloat(path: Path, rng: Rng, wanted: str) -> Damage:
    """Make a small file that claims to hold, or unpacks to, very much."""
    kind = format_of(path)
    if kind == "hdf5":
        name = _pick(path, rng, wanted, with_coordinates=True)
        with h5py.File(path, "r+") as file:
            old = file[name]
            attributes = {k: v for k, v in old.attrs.items() if "_LIST" not in k}
            dtype, rank = old.dtype, max(old.ndim, 1)
            _remove(file, name)
            shape = (3_000_000_000,) if rank == 1 else (*[1] * (rank - 2), 300_000, 400_000)
            chunks = tuple(min(size, 1000) for size in shape)
            file.create_dataset(name, shape, dtype, chunks=chunks, compression="gzip")
            file[name].attrs.update(attributes)
        return Damage(f"{name} of {shape}")
    if kind == "tiff":
        with rasterio.open(path) as file:
            profile = file.profile
        width = 400_000
        profile.update(width=width, height=300_000, SPARSE_OK=True, BIGTIFF="YES", tiled=True,
                       blockxsize=512, blockysize=512, compress="deflate")  # fmt: skip
        a, _, c, _, e, f = tuple(profile["transform"])[:6]
        profile["transform"] = Affine(a / 1000, 0, c, 0, e / 1000, f)
        path.unlink()
        with rasterio.open(path, "w", **profile):
            pass
        return Damage("300000 x 400000 cells, none of them stored")
    if kind == "classic":
        content = bytearray(path.read_bytes())
        content[4:8] = b"\x7f\xff\xff\xff"
        start = content.find(b"\0\0\0\x0a") + 8  # the list of dimensions: name, length, ...
        length = struct.unpack_from(">I", content, start)[0]
        at = start + 4 + -(-length // 4) * 4
        content[at : at + 4] = b"\x7f\xff\xff\xf0"
        path.write_bytes(content)
        return Damage("2147483632 rows")
    if kind == "zip":
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("N/S/N_N_S_sm_0.05_0.05_A_20200101_20200102.stm", b"0" * 400_000_000)
        return Damage("a member of 400 MB of one byte")
    return Damage(edit_text(path, rng))


#: Members that an archive must not have.
HOSTILE = ("../../evil_sm_.stm", "/etc/cron.d/evil_sm_.stm", "a/../../evil_sm_.stm",
           "..\\..\\evil_sm_.stm", "C:\\evil_sm_.stm")  # fmt: skip


def escape(path: Path, rng: Rng, wanted: str) -> Damage:
    """Point out of the file: members of an archive that climb, links and stores in other files."""
    kind = format_of(path)
    if kind == "zip":
        name = str(rng.choice([*HOSTILE, "link_sm_.stm"]))
        with zipfile.ZipFile(path, "a") as archive:
            member = zipfile.ZipInfo(name)
            if name.startswith("link"):
                member.external_attr = 0o120777 << 16
            archive.writestr(member, "/etc/passwd")
        return Damage(f"member {name}")
    if kind == "hdf5":
        name = _pick(path, rng, wanted, with_coordinates=False)
        other = path.with_name("elsewhere.bin")
        with h5py.File(path, "r+") as file:
            old = file[name]
            shape, dtype, attributes = old.shape, old.dtype, dict(old.attrs)
            attributes = {k: v for k, v in attributes.items() if "_LIST" not in k}
            del file[name]
            if rng.integers(2):
                other.write_bytes(bytes(int(np.prod(shape)) * dtype.itemsize))
                stored = [(str(other), 0, other.stat().st_size)]
                file.create_dataset(name, shape, dtype, external=stored)
                file[name].attrs.update(attributes)
                return Damage(f"{name} stored in another file")
            with h5py.File(other, "w") as elsewhere:
                elsewhere.create_dataset("data", data=np.zeros(shape, dtype))
                elsewhere["data"].attrs.update(attributes)
            file[name] = h5py.ExternalLink(str(other), "data")
        return Damage(f"{name} links to another file")
    if kind == "tiff":
        other = path.with_name("elsewhere.tif")
        path.rename(other)
        with rasterio.open(other) as file:
            width, height, crs, affine = file.width, file.height, file.crs, file.transform
            dtype = {"uint8": "Byte"}.get(file.dtypes[0], file.dtypes[0].capitalize())
        numbers = ", ".join(str(number) for number in affine.to_gdal())
        path.write_text(
            f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{crs.to_string()}</SRS>'
            f"<GeoTransform>{numbers}</GeoTransform>"
            f'<VRTRasterBand dataType="{dtype}" band="1"><SimpleSource>'
            f"<SourceFilename>{other}</SourceFilename><SourceBand>1</SourceBand>"
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
        return Damage("a virtual raster in a .tif, of another file")
    return Damage(edit_text(path, rng))


#: Kinds of damage, by name.
DAMAGES: dict[str, Callable[[Path, Rng, str], Damage]] = {
    "truncated": truncate,
    "flipped data": flip_data,
    "flipped structure": flip_structure,
    "flipped anywhere": flip_anywhere,
    "wrong type": retype,
    "missing variable": remove,
    "absurd attribute": confuse,
    "bomb": bloat,
    "path traversal": escape,
}
