"""Zip archives from outside, checked before anything is taken out of them."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from vadose.errors import FileProblem

#: Most bytes that an archive may unpack to. The whole ISMN is some 60 GB.
MAXIMUM_BYTES = 100 * 10**9
#: Most bytes unpacked for one packed. Station files reach 20; bombs, thousands.
MAXIMUM_RATIO = 200
MAXIMUM_MEMBERS = 500_000


@contextmanager
def open_archive(
    path: Path, *, maximum_bytes: int = MAXIMUM_BYTES, maximum_ratio: float = MAXIMUM_RATIO
) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive whose members stay inside it and unpack to a sane size.

    Raises
    ------
    FileProblem
        Not a zip, or a member that points outside, is a link or is encrypted, or a zip bomb.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "evil.zip")
    ...     with zipfile.ZipFile(path, "w") as archive:
    ...         archive.writestr("../../evil.stm", "")
    ...     try:
    ...         with open_archive(path):
    ...             pass
    ...     except FileProblem as problem:
    ...         problem.found
    "member '../../evil.stm', which would be written outside"
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise FileProblem(
            path, found=f"no readable zip archive ({error})", remedy="Download it again."
        ) from error
    with archive:
        members = archive.infolist()
        for member in members:
            _check_member(path, member)
        total = sum(member.file_size for member in members)
        ratio = total / max(path.stat().st_size, 1)
        if total > maximum_bytes or ratio > maximum_ratio or len(members) > MAXIMUM_MEMBERS:
            raise FileProblem(
                path,
                found=f"{len(members)} members that unpack to {total:,} bytes, {ratio:.0f} times the "
                "archive",
                expected=f"at most {maximum_bytes:,} bytes, {maximum_ratio:g} times the archive, and "
                f"{MAXIMUM_MEMBERS} members",
                remedy="If you trust it, unpack it yourself and name the folder.",
            )
        yield archive


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    pure, windows = PurePosixPath(name.replace("\\", "/")), PureWindowsPath(name)
    fault = ""
    if pure.is_absolute() or windows.is_absolute() or windows.drive or ".." in pure.parts:
        fault = "which would be written outside"
    elif stat.S_ISLNK(member.external_attr >> 16):
        fault = "which is a link"
    elif member.flag_bits & 1:
        fault = "which is encrypted"
    if fault:
        raise FileProblem(
            path,
            found=f"member {name!r}, {fault}",
            expected="plain files",
            remedy="Do not unpack this archive; download it again.",
        )


def read_member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a member, its checksum verified.

    Raises
    ------
    FileProblem
        The member is damaged.
    """
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise FileProblem(
            path,
            found=f"member {name!r} that cannot be read ({error})",
            remedy="Download it again.",
        ) from error
    except Exception as error:  # zlib.error and lzma.LZMAError have no common base
        raise FileProblem(
            path, found=f"damaged member {name!r} ({error})", remedy="Download it again."
        ) from error
