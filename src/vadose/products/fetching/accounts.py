"""Which accounts archives ask for, and where their credentials go; they are never read out.

A password stands in the file or the environment that the archive's own client reads, and nowhere else:
no recipe, no argument, no log.
"""

from __future__ import annotations

import netrc
import os
from dataclasses import dataclass
from pathlib import Path

#: Where Earthdata Login lives.
LOGIN_HOST = "urs.earthdata.nasa.gov"


@dataclass(frozen=True)
class Account:
    """Describe an account.

    Attributes
    ----------
    title
        What it is called.
    register
        Where to get one.
    where
        Where its credentials go.
    """

    title: str
    register: str
    where: str


#: By name; a collection without account is open.
ACCOUNTS = {
    "earthdata": Account(
        "NASA Earthdata Login",
        "https://urs.earthdata.nasa.gov/users/new",
        f"~/.netrc (chmod 600) with the line: machine {LOGIN_HOST} login NAME password SECRET; or the "
        "environment: EARTHDATA_TOKEN, or EARTHDATA_USERNAME and EARTHDATA_PASSWORD",
    ),
    "climate_store": Account(
        "Copernicus Climate Data Store",
        "https://cds.climate.copernicus.eu (accept the licence of each data set once, on its page)",
        "~/.cdsapirc (chmod 600) with the lines: url: https://cds.climate.copernicus.eu/api and key: TOKEN; or "
        "the environment: CDSAPI_URL and CDSAPI_KEY",
    ),
}


def has_credentials(account: str) -> bool:
    """Tell whether credentials are where the client looks for them; whether they hold, the archive says."""
    if account == "earthdata":
        return earthdata_strategy() is not None
    if account == "climate_store":
        return bool(os.environ.get("CDSAPI_KEY")) or _file_of(account).is_file()
    return True


def complaint(account: str) -> str:
    """Say what is wrong with the file of an account's credentials; empty where nothing is, or there is none.

    The text of an error is not shown: of a line that cannot be read, it may show the password.
    """
    path = _file_of(account)
    if not path.exists():
        return ""
    try:
        path.read_bytes()
        if account == "earthdata":
            netrc.netrc(str(path))
    except netrc.NetrcParseError as error:
        return f"{path} cannot be read about its line {error.lineno}; a password with blanks or # needs quotes"
    except (OSError, UnicodeDecodeError) as error:
        return f"{path} cannot be read ({type(error).__name__})"
    if os.name == "posix" and path.stat().st_mode & 0o077:
        return f"{path} can be read by others: chmod 600 {path}"
    return ""


def _file_of(account: str) -> Path:
    if account == "earthdata":
        return Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    return Path(os.environ.get("CDSAPI_RC", "~/.cdsapirc")).expanduser()


def earthdata_strategy() -> str | None:
    """Name the way of earthaccess that finds credentials: ``environment`` or ``netrc``; None without any."""
    named = os.environ.get("EARTHDATA_USERNAME") and os.environ.get("EARTHDATA_PASSWORD")
    if named or os.environ.get("EARTHDATA_TOKEN"):
        return "environment"
    try:
        found = netrc.netrc(str(_file_of("earthdata"))).authenticators(LOGIN_HOST)
        return "netrc" if found else None
    except (OSError, UnicodeDecodeError, netrc.NetrcParseError):
        return None
