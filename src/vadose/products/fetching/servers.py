"""Where archives are, and which hosts files may come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from vadose.products.fetching.accounts import LOGIN_HOST
from vadose.products.fetching.base import FetchProblem


@dataclass(frozen=True)
class Servers:
    """Name the servers; others stand in for them in tests.

    Attributes
    ----------
    search
        NASA's Common Metadata Repository.
    harmony
        NASA's service that cuts granules.
    elevation, soil
        Folders of public files.
    hosts
        Hosts, with all below them, from which a file may be downloaded.
    login
        The only host that a name and a password are sent to.
    tokens
        Hosts, with all below them, that a token of that login is sent to.
    storage
        Hosts, with all below them, to which an archive may send a download on, without credentials: the
        clouds where files lie.
    is_https
        Whether addresses must be https.
    """

    search: str = "https://cmr.earthdata.nasa.gov/search/"
    harmony: str = "https://harmony.earthdata.nasa.gov/"
    elevation: str = "https://copernicus-dem-90m.s3.amazonaws.com/"
    soil: str = "https://files.isric.org/soilgrids/latest/data_aggregated/1000m/"
    hosts: tuple[str, ...] = (
        "nasa.gov",
        "usgs.gov",
        "copernicus.eu",
        "ecmwf.int",
        "copernicus-dem-90m.s3.amazonaws.com",
        "files.isric.org",
    )
    login: str = LOGIN_HOST
    tokens: tuple[str, ...] = ("nasa.gov", "usgs.gov")
    storage: tuple[str, ...] = ("amazonaws.com", "cloudfront.net")
    is_https: bool = True

    def check_url(self, url: str) -> None:
        """Refuse an address that is not one of the archives'.

        Raises
        ------
        FetchProblem

        Examples
        --------
        >>> Servers().check_url("https://data.nsidc.earthdatacloud.nasa.gov/a.h5")
        >>> Servers().check_url("https://nasa.gov.example.org/a.h5")
        Traceback (most recent call last):
        vadose.products.fetching.base.FetchProblem: nasa.gov.example.org: found a file offered at a host that is \
not the archive's, expected one of nasa.gov, usgs.gov, copernicus.eu, ecmwf.int, copernicus-dem-90m.s3.amazonaws.com, \
files.isric.org. It was not asked for.
        """
        self._check(url, self.hosts, "a file offered at")

    def check_redirection(self, url: str) -> None:
        """Refuse an address that a download was sent on to, unless it is an archive's, its login's or its cloud's.

        Raises
        ------
        FetchProblem

        Examples
        --------
        >>> Servers().check_redirection("https://bucket.s3.us-west-2.amazonaws.com/a.h5?X-Amz-Signature=0")
        >>> try:
        ...     Servers().check_redirection("https://example.org/a.h5")
        ... except FetchProblem as problem:
        ...     problem.found
        "a redirection to a host that is not the archive's"
        """
        self._check(url, (*self.hosts, self.login, *self.storage), "a redirection to")

    def _check(self, url: str, hosts: tuple[str, ...], what: str) -> None:
        address = urlsplit(url)
        host = address.hostname or ""
        is_ours = is_of(host, hosts)
        if not is_ours or (self.is_https and address.scheme != "https"):
            raise FetchProblem(
                host or url.partition("?")[0][:60],
                found=f"{what} a host that is not the archive's"
                if not is_ours
                else "an address without https",
                expected=f"one of {', '.join(hosts)}" if not is_ours else "https",
                remedy="It was not asked for.",
            )


def is_of(host: str, hosts: Iterable[str]) -> bool:
    """Tell whether a host is one of several, or lies below one.

    Examples
    --------
    >>> is_of("data.lpdaac.earthdatacloud.nasa.gov", ["nasa.gov"]), is_of("evilnasa.gov", ["nasa.gov"])
    (True, False)
    """
    return any(host == one or host.endswith(f".{one}") for one in hosts)
