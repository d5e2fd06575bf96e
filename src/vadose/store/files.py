"""Files and folders that take their final name when they are complete, and their checksums."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vadose.errors import FileProblem

_FULL = ("no space left on the device", "Free some space, or choose another disk.")
_LOCKED = ("no permission to write", "Choose a folder that you may write to.")
_REASONS = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL}
_REASONS |= {errno.EACCES: _LOCKED, errno.EPERM: _LOCKED, errno.EROFS: _LOCKED}


@contextmanager
def replaced(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a hidden path beside `path`; what is put there takes the final name on success.

    On any error, also on an interrupt, it is removed and the earlier result stays. The hidden name
    keeps the suffix, since many writers read the format from it.

    Parameters
    ----------
    path
        Final name of a file or folder; its parent must exist.
    overwrite
        Whether a file may replace an earlier file, or a folder an earlier folder.

    Raises
    ------
    FileProblem
        When the name is taken, the disk is full or the place may not be written to.

    Examples
    --------
    >>> import tempfile
    >>> final = Path(tempfile.mkdtemp()) / "scores.json"
    >>> with replaced(final) as partial:
    ...     size = partial.write_text("{}")
    ...     final.exists()
    False
    >>> final.read_text()
    '{}'
    """
    path = Path(path)
    _check_free(path, overwrite)
    partial = _hidden(path, "partial")
    try:
        with explained(path):
            yield partial
            _take_name(partial, path, overwrite)
    finally:
        _remove(partial)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a full disk, or one that may not be written to, into a `FileProblem` that names `path`.

    Errors about other files pass as they are.

    Examples
    --------
    >>> with explained(Path("map.zarr")):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    vadose.errors.FileProblem: map.zarr: found no space left on the device. Free some space, or choose \
another disk.
    """
    try:
        yield
    except OSError as error:
        is_elsewhere = error.filename is not None and path.name not in str(error.filename)
        if error.errno not in _REASONS or is_elsewhere:
            raise
        found, remedy = _REASONS[error.errno]
        raise FileProblem(path, found=found, remedy=remedy) from error


def partials(path: str | Path) -> list[Path]:
    """List what killed runs left beside `path`, for a next start to tell or remove.

    ``.NAME.partial-*`` is an unfinished result. ``.NAME.previous-*`` is an earlier one, left if the
    process died in the instant of the swap; when `path` is missing, rename it back.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / ".cube.zarr.partial-00c0ffee.zarr").mkdir()
    >>> [left.name for left in partials(folder / "cube.zarr")]
    ['.cube.zarr.partial-00c0ffee.zarr']
    """
    path = Path(path)
    ours = re.compile(rf"\.{re.escape(path.name)}\.(partial|previous)-[0-9a-f]{{8}}")
    near = path.parent.glob(f".{glob.escape(path.name)}.p*")
    return sorted(found for found in near if ours.match(found.name))


def _hidden(path: Path, role: str) -> Path:
    return path.with_name(f".{path.name}.{role}-{secrets.token_hex(4)}{path.suffix}")


def _check_free(path: Path, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise FileProblem(path.parent, found="no such folder", remedy="Create it first.")
    if os.path.lexists(path) and not overwrite:
        raise FileProblem(
            path,
            found="an earlier result",
            expected="a free name",
            remedy="Choose another name, or pass overwrite=True to replace it.",
        )


def _take_name(partial: Path, path: Path, overwrite: bool) -> None:
    """Rename; an earlier folder steps aside first, as no system call replaces a full one."""
    _check_free(path, overwrite)
    if os.path.lexists(path) and path.is_dir() != partial.is_dir():
        found, expected = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise FileProblem(path, found=f"a {found}", expected=f"a {expected} to replace")
    if not path.is_dir():
        partial.replace(path)
        return
    previous = _hidden(path, "previous")
    path.rename(previous)
    try:
        partial.rename(path)
    except BaseException:
        previous.rename(path)
        raise
    _remove(previous)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """Hash a file, or a folder as the text that ``sha256sum`` prints for its files, sorted by name.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "empty"
    >>> file.touch()
    >>> sha256(file)[:12], sha256(file.parent)[:12]
    ('e3b0c44298fc', 'a9e456cbcd4f')
    """
    path = Path(path)
    if not path.exists():
        raise FileProblem(path, found="nothing there", expected="a file or folder")
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{sha256(path / name)}  {name}\n" for name in names)
    return hashlib.sha256(listing.encode()).hexdigest()
