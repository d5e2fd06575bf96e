"""Where the bytes of a file lie: its format, its blocks of data, its structure; and what guards them."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

import h5py
import rasterio


def format_of(path: Path) -> str:
    """Name the format by the first bytes."""
    with path.open("rb") as stream:
        start = stream.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return "hdf5"
    if start[:4] == b"\x0e\x03\x13\x01":
        return "hdf4"
    if start[:3] == b"CDF":
        return "classic"
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    return "zip" if start[:2] == b"PK" else "text"


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """List the variables of an HDF5 file, with their groups."""
    found: dict[str, h5py.Dataset] = {}
    file.visititems(
        lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None
    )
    return found


def read_ones(names: Iterable[str], wanted: str) -> list[str]:
    """Keep the names that a product's record mentions, all where it mentions none."""
    everything = list(names)
    return [n for n in everything if n.rsplit("/", 1)[-1] in wanted] or everything


def stored_blocks(path: Path, wanted: str) -> list[tuple[int, int, bool]]:
    """List offset and size of the blocks that hold data, and whether a checksum guards them."""
    kind = format_of(path)
    if kind == "hdf5":
        with h5py.File(path) as file:
            held = datasets(file)
            names = read_ones((n for n in held if held[n].ndim > 1), wanted) or list(held)
            blocks = []
            for dataset in (held[name] for name in names):
                is_guarded = dataset.compression == "gzip" or dataset.fletcher32
                if dataset.chunks:
                    for place in range(dataset.id.get_num_chunks()):
                        chunk = dataset.id.get_chunk_info(place)
                        blocks.append((chunk.byte_offset, chunk.size, is_guarded))
                elif dataset.id.get_offset() is not None:
                    blocks.append((dataset.id.get_offset(), dataset.id.get_storage_size(), False))
        return blocks
    if kind == "hdf4":
        return [
            (offset, size, False) for tag, offset, size in hdf4_elements(path) if tag in (40, 702)
        ]
    if kind == "tiff":
        with rasterio.open(path) as file:
            rows, columns = file.block_shapes[0]
            places = [
                (x, y)
                for y in range(-(-file.height // rows))
                for x in range(-(-file.width // columns))
            ]
            found = [
                [file.get_tag_item(f"BLOCK_{word}_{x}_{y}", "TIFF", bidx=1) for word in ("OFFSET", "SIZE")]
                for x, y in places
            ]  # fmt: skip
        return [(int(offset), int(size), False) for offset, size in found if offset and size]
    if kind == "zip":
        with zipfile.ZipFile(path) as archive:
            return [
                (member.header_offset + 30 + len(member.filename), member.compress_size, True)
                for member in archive.infolist()
                if member.compress_size
            ]
    size = path.stat().st_size
    return [(size // 3, size - size // 3, False)]


def hdf4_elements(path: Path) -> list[tuple[int, int, int]]:
    """List tag, offset and size of the elements of an HDF4 file (HDF 4.2 specification, 3.2)."""
    content = path.read_bytes()
    elements, at = [], 4
    while at:
        count, following = struct.unpack_from(">HI", content, at)
        for place in range(count):
            tag, _, offset, size = struct.unpack_from(">HHII", content, at + 6 + 12 * place)
            if tag != 1 and offset != 0xFFFFFFFF:
                elements.append((tag, offset, size))
        at = following
    return elements


_SIGNATURES = (b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"FRHP", b"FHDB", b"BTHD", b"BTLF")


def structure_places(path: Path) -> tuple[list[int], bool]:
    """List places where the structure of the file is written, and whether signatures guard them."""
    kind, content = format_of(path), path.read_bytes()
    if kind == "hdf5":
        places = list(range(8))
        for signature in _SIGNATURES:
            at = content.find(signature)
            while at >= 0:
                places += range(at, at + 4)
                at = content.find(signature, at + 1)
        return places, True
    if kind == "zip":
        start = content.rfind(b"PK\x01\x02")
        return list(range(start, start + 46)), False
    if kind == "tiff":
        order = "<" if content[:2] == b"II" else ">"
        start = struct.unpack_from(order + "I", content, 4)[0]
        count = struct.unpack_from(order + "H", content, start)[0]
        return [*range(8), *range(start, start + 2 + 12 * count)], False
    if kind == "hdf4":
        special = [offset for tag, offset, _ in hdf4_elements(path) if tag & 0x4000]
        return [*range(4, 600), *(at + n for at in special[:60] for n in range(14))], False
    return list(range(min(600, len(content)))), False
