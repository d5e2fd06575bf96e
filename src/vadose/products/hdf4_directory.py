"""The directory of an HDF4 file, checked before the library sees it.

The HDF4 library believes what its directory says: a flipped byte there makes it read or free memory that
is not its own, and the process dies with all its work. Nothing of HDF4 has a checksum, but most of what
is wrong contradicts something else in the file.

References
----------
HDF Specification and Developer's Guide (version 4.2), sections 3.2 (data descriptors), 9 and 10 (special
elements: linked blocks, compressed and chunked).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vadose.errors import FileProblem

#: A data descriptor: what an element is, its number, where it lies.
_DESCRIPTOR = np.dtype([("tag", ">u2"), ("reference", ">u2"), ("offset", ">u4"), ("length", ">u4")])
_COMPRESSED = np.dtype(
    [("code", ">u2"), ("version", ">u2"), ("length", ">i4"), ("reference", ">u2"),
     ("model", ">u2"), ("coder", ">u2")]
)  # fmt: skip
_LINKED = np.dtype(
    [("code", ">u2"), ("length", ">i4"), ("block", ">i4"), ("number", ">i4"), ("reference", ">u2")]
)
#: In place of an offset or length that is not yet known.
_BLANK = 0xFFFFFFFF
_EMPTY, _LINKS, _PACKED, _TABLE, _GROUPS = 1, 20, 40, 1962, (1962, 1963, 1965)
#: Bit of a tag whose element begins with a header that says how it is stored.
_SPECIAL = 0x4000


def check_directory(path: Path) -> None:
    """Refuse an HDF4 file whose directory contradicts itself or the size of the file.

    Raises
    ------
    FileProblem
    """
    content = np.fromfile(path, "u1")
    fault = _fault_of(content)
    if fault:
        raise FileProblem(
            path, found=fault, expected="a complete HDF4 file", remedy="Download it again."
        )


def _fault_of(content: npt.NDArray[np.uint8]) -> str:
    elements = _descriptors(content)
    if elements is None:
        return "a directory that breaks off or repeats itself"
    kinds = elements["tag"] & ~np.uint16(_SPECIAL)
    is_known = (kinds < 1000) | np.isin(kinds, _GROUPS) | (kinds >= 0x8000)
    if not is_known.all():
        return f"an element of the unknown kind {kinds[~is_known][0]}"
    names = set(zip(kinds.tolist(), elements["reference"].tolist(), strict=True))
    if len(names) < elements.size:
        return "two elements of one name"
    placed = elements[(elements["offset"] != _BLANK) & (elements["length"] != _BLANK)]
    first, last = placed["offset"].astype("i8"), placed["offset"].astype("i8") + placed["length"]
    if placed.size and last.max() > content.size:
        return f"an element that ends at byte {last.max():,} of {content.size:,}"
    spans = np.unique(np.stack([first, last], axis=1), axis=0)
    if (spans[1:, 0] < spans[:-1, 1]).any():
        return "elements that lie across one another"
    special = placed[(placed["tag"] & _SPECIAL != 0) & (placed["tag"] < 0x8000)]
    return _fault_of_storage(content, special, names)


def _descriptors(content: npt.NDArray[np.uint8]) -> npt.NDArray[Any] | None:
    """Follow the blocks of descriptors; None where the chain is broken."""
    at, seen, blocks = 4, set(), []
    while at:
        head = content[at : at + 6].tobytes()
        number, following = struct.unpack(">HI", head) if len(head) == 6 else (0, 0)
        if at in seen or number == 0 or at + 6 + 12 * number > content.size:
            return None
        seen.add(at)
        blocks.append(np.frombuffer(content, _DESCRIPTOR, number, at + 6))
        at = following
    elements: npt.NDArray[Any] = np.concatenate(blocks)
    is_used = elements["tag"] != _EMPTY
    return np.asarray(elements[is_used])


def _fault_of_storage(
    content: npt.NDArray[np.uint8], special: npt.NDArray[Any], names: set[tuple[int, int]]
) -> str:
    """Check the headers that say how elements are stored, all of one kind together."""
    codes = _headers(content, special, np.dtype([("code", ">u2")]))["code"]
    linked = _headers(content, special[codes == 1], _LINKED)
    packed = _headers(content, special[codes == 3], _COMPRESSED)
    is_sound = {
        "linked": (linked["length"] >= 0) & (linked["block"] > 0) & (linked["number"] > 0)
        & (linked["number"] < 65536) & _are_there(_LINKS, linked["reference"], names),
        "compressed": (packed["version"] == 0) & (packed["length"] >= 0) & (packed["model"] == 0)
        & (packed["coder"] <= 5) & _are_there(_PACKED, packed["reference"], names),
        "stored in an unknown way": np.isin(codes, (1, 3, 5)),
    }  # fmt: skip
    for word, is_good in is_sound.items():
        if not is_good.all():
            return f"an element, {word}, whose header cannot be right"
    for element in special[codes == 5]:
        start = int(element["offset"])
        if not _is_chunked_well(content[start : start + int(element["length"])].tobytes(), names):
            return "an element, in chunks, whose header cannot be right"
    return ""


def _headers(
    content: npt.NDArray[np.uint8], special: npt.NDArray[Any], kind: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Gather the first bytes of elements; those that are too short give zeros."""
    places = special["offset"].astype("i8")[:, None] + np.arange(kind.itemsize)
    gathered = content[np.minimum(places, content.size - 1)]
    gathered[special["length"] < kind.itemsize] = 0
    return np.ascontiguousarray(gathered).view(kind).reshape(-1)


def _are_there(
    tag: int, references: npt.NDArray[Any], names: set[tuple[int, int]]
) -> npt.NDArray[np.bool_]:
    return np.array([(tag, reference) in names for reference in references.tolist()], dtype=bool)


def _is_chunked_well(header: bytes, names: set[tuple[int, int]]) -> bool:
    """Compare sizes of the whole and of a chunk with the dimensions that make them."""
    if len(header) < 35:
        return False
    length, version, _, total, chunk, width, tag, reference, _, _, rank = struct.unpack_from(
        ">IBiiiiHHHHi", header, 2
    )
    if (
        not 0 < length <= len(header) - 6  # what follows says how chunks are packed
        or version != 0
        or not 1 <= rank <= 32
        or not 1 <= width <= 16
        or len(header) < 35 + 12 * rank
        or tag != _TABLE
        or (tag, reference) not in names
    ):
        return False
    sizes = np.frombuffer(header, ">i4", 3 * rank, 35).reshape(rank, 3).astype("i8")
    is_positive = bool((sizes[:, 1:] > 0).all())
    return is_positive and int(sizes[:, 1].prod()) == total and int(sizes[:, 2].prod()) == chunk
