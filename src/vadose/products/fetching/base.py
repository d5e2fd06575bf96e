"""What is asked of archives, what they offer, and how it may fail."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from vadose.errors import FileProblem, VadoseError
from vadose.grids import Region
from vadose.products.base import Period

#: Longest file name that is taken from a server.
LONGEST = 200
#: Most bytes that a file may say it has.
LARGEST = 20 * 10**9


@dataclass(frozen=True)
class Wanted:
    """Ask for a product over a box and a period, into a folder.

    Attributes
    ----------
    product
        A name in ``vadose.products.collections.COLLECTIONS``, or one that its user brings.
    folder
        Where its files go; its parent keeps the manifest and what is half done.
    region
        West, south, east, north in degrees.
    period
        First and last day; none for what does not change.
    variables
        Ours; all that the collection has where it is empty.
    version
        Of the collection, in place of the one in the table.
    """

    product: str
    folder: Path
    region: Region
    period: Period | None = None
    variables: tuple[str, ...] = ()
    version: str | None = None


@dataclass(frozen=True)
class Offer:
    """One file that an archive offers.

    Attributes
    ----------
    product
        Whose it is.
    name
        The checked name of the file.
    url
        Where it is; for the Climate Data Store, the data set.
    size
        Bytes, where the archive says so.
    checksum, algorithm
        Of its bytes, where the archive says so.
    collection, version
        Where it comes from.
    asked
        What the archive is to be asked for, where it makes files on demand; for granules of NASA, how the
        archive numbers them.
    box
        Region that the file is cut to; None for the whole of what the archive has.
    variables
        Names, as in the file, of what is kept of a cut file; all where it is empty.
    """

    product: str
    name: str
    url: str
    size: int | None = None
    checksum: str = ""
    algorithm: str = ""
    collection: str = ""
    version: str = ""
    asked: dict[str, object] = field(default_factory=dict)
    box: Region | None = None
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """Say how patient and how careful downloads are.

    Attributes
    ----------
    attempts
        How often a file is tried.
    pause
        Seconds before the second attempt; doubled each time.
    longest_pause
        Seconds that a server may ask us to wait.
    timeout
        Seconds without a byte after which a connection is given up.
    slowest
        Bytes per second, over `patience` seconds, below which it is given up too.
    patience
        Seconds over which that is measured.
    workers
        Files at a time.
    poll
        Seconds between questions how far a job of the archive is, at most; the first come sooner.
    longest_wait
        Seconds that a request may wait in the queue of an archive before this run gives it up; it stays there.
    """

    attempts: int = 6
    pause: float = 2.0
    longest_pause: float = 300.0
    timeout: float = 60.0
    slowest: float = 1000.0
    patience: float = 60.0
    workers: int = 4
    poll: float = 30.0
    longest_wait: float = 12 * 3600.0


class FetchProblem(VadoseError):
    """Report a file that could not be downloaded."""


class LoginProblem(FetchProblem):
    """Report an account that is missing, expired, or has not agreed to the terms: no file will come."""


class Absent(FetchProblem):
    """Report a file that the archive does not have."""


class Refused(Absent):
    """Report a public file that was refused: stores of files answer so, too, where there is no such file."""


def checked_name(name: str, names: str, *, source: str) -> str:
    r"""Check a file name that came from a server: it must be one of the product's, whole.

    Parameters
    ----------
    name
        As the server says.
    names
        Regular expression of the product.
    source
        Who said so, for the message.

    Raises
    ------
    FileProblem

    Examples
    --------
    >>> checked_name("sm_2019.nc", r"sm_\d+\.nc", source="us")
    'sm_2019.nc'
    >>> try:
    ...     checked_name("../../.bashrc", r"sm_\d+\.nc", source="us")
    ... except FileProblem as problem:
    ...     problem.found
    "a file named '../../.bashrc'"
    """
    is_plain = name.isascii() and name.isprintable() and not set(name) & set("/\\:\0")
    if (
        not is_plain
        or len(name) > LONGEST
        or name[:1] in ("", ".")
        or not re.fullmatch(names, name)
    ):
        shown = name if len(name) <= 60 else f"{name[:57]}..."
        raise FileProblem(
            source,
            found=f"a file named {shown!r}",
            expected=f"a name such as {names}",
            remedy="It is left where it is.",
        )
    return name


def hashed(path: Path, algorithm: str = "sha256") -> str:
    """Hash a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
