"""Where a store lies: a folder, or a prefix of an object store given by an fsspec URL."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from vadose.errors import FileProblem, MissingExtra
from vadose.store.files import explained


class Place(Protocol):
    """Hold objects of bytes under keys such as ``soil_moisture/c/0/0/0``; each is whole or absent."""

    @property
    def name(self) -> str | Path:
        """Path or URL, for messages."""

    def read(self, key: str) -> bytes | None:
        """Give the bytes of an object, or None where there is none."""

    def write(self, key: str, content: bytes) -> None:
        """Create or replace an object; a reader sees the earlier one or this."""

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are passed over."""

    def sizes(self) -> dict[str, int]:
        """List all objects, also unfinished ones, with their number of bytes."""

    def zarr_store(self) -> Any:
        """Give what the zarr library opens, for reading."""


def is_url(path: str | Path) -> bool:
    """Tell whether this is a URL such as ``s3://bucket/map.zarr``.

    Examples
    --------
    >>> is_url("memory://map.zarr"), is_url("runs/map.zarr")
    (True, False)
    """
    return "://" in str(path)


def place_of(path: str | Path) -> Place:
    """Give the place that a path or URL names; it need not exist.

    Raises
    ------
    MissingExtra, FileProblem
        When the library for this kind of URL is not installed, or there is no such kind.

    Examples
    --------
    >>> place_of("memory://map.zarr").read("zarr.json") is None
    True
    """
    if not is_url(path):
        return Folder(Path(path))
    url = str(path)
    if url.startswith("file://"):
        return Folder(Path(url.removeprefix("file://")))
    bucket = Bucket(url.rstrip("/"))
    bucket.files  # noqa: B018 - a missing library shall show here
    return bucket


@dataclass(frozen=True)
class Folder:
    """Hold objects as files of a folder, each of which takes its name when it is complete."""

    name: Path

    def read(self, key: str) -> bytes | None:
        """Give the bytes of a file, or None where there is none."""
        try:
            return (self.name / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def write(self, key: str, content: bytes) -> None:
        """Write a file under a hidden name and rename it.

        Raises
        ------
        FileProblem
            When the disk is full or the place may not be written to.
        """
        file = self.name / key
        partial = file.with_name(f".{file.name}.partial-{secrets.token_hex(4)}")
        with explained(self.name):
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(content)
                partial.replace(file)
            finally:
                partial.unlink(missing_ok=True)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files; those that are not there are passed over."""
        for key in keys:
            (self.name / key).unlink(missing_ok=True)

    def sizes(self) -> dict[str, int]:
        """List all files, also hidden ones, with their number of bytes."""
        files = (file for file in self.name.rglob("*") if file.is_file())
        return {file.relative_to(self.name).as_posix(): file.stat().st_size for file in files}

    def zarr_store(self) -> Path:
        """Give the folder."""
        return self.name


@dataclass(frozen=True)
class Bucket:
    """Hold objects under a URL of any file system that fsspec knows."""

    name: str

    @cached_property
    def files(self) -> Any:
        """The file system of fsspec, which is one per process and kind of URL."""
        return self._opened[0]

    @cached_property
    def _root(self) -> str:
        return str(self._opened[1])

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        protocol = self.name.split("://")[0]
        try:
            files, root = url_to_fs(self.name)
        except ImportError as error:
            if protocol in ("s3", "s3a"):
                raise MissingExtra("s3fs", extra="cloud") from error
            raise FileProblem(
                self.name, found=f"no library for {protocol}:// URLs", remedy=f"{error}."
            ) from error
        except ValueError as error:
            raise FileProblem(
                self.name,
                found=f"an unknown kind of URL, {protocol}://",
                expected="a path, s3://… or another URL of fsspec",
            ) from error
        return files, root.rstrip("/")

    def read(self, key: str) -> bytes | None:
        """Give the bytes of an object, or None where there is none.

        Raises
        ------
        FileProblem
            When the store cannot be reached or refuses.
        """
        with _reached(self.name):
            try:
                content: bytes = self.files.cat_file(f"{self._root}/{key}")
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None
        return content

    def write(self, key: str, content: bytes) -> None:
        """Put an object, which object stores do as a whole.

        Raises
        ------
        FileProblem
            When the store cannot be reached or refuses.
        """
        with _reached(self.name):
            self.files.pipe_file(f"{self._root}/{key}", content)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are passed over."""
        keys = list(keys)
        # Many are removed by one request, which some file systems refuse when any is missing.
        there = self.sizes() if len(keys) > 1 else keys
        paths = [f"{self._root}/{key}" for key in keys if key in there]
        with _reached(self.name), suppress(FileNotFoundError):
            if paths:
                self.files.rm(paths)

    def sizes(self) -> dict[str, int]:
        """List all objects with their number of bytes."""
        with _reached(self.name):
            self.files.invalidate_cache()
            try:
                found = self.files.find(self._root, detail=True)
            except FileNotFoundError:
                return {}
        start = len(self._root) + 1
        return {path[start:]: int(entry["size"]) for path, entry in found.items()}

    def zarr_store(self) -> Any:
        """Give zarr's store of the same URL."""
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(self.name, read_only=True)


@contextmanager
def _reached(url: str) -> Iterator[None]:
    """Turn whatever a file system of fsspec raises, which has no common base, into a `FileProblem`."""
    try:
        yield
    except (FileProblem, FileNotFoundError):
        raise
    except Exception as error:
        raise FileProblem(
            url,
            found=f"no access ({type(error).__name__}: {error})",
            expected="a place to read from and write to",
            remedy="Check the URL, the credentials and the network.",
        ) from error
