"""Where archives are, and which hosts files may come from."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from vadose.products.fetching.base import FetchProblem


@dataclass(frozen=True)
class Servers:
    """Name the servers; others stand in for them in tests.

    Attributes
    ----------
    search
        NASA's Common Metadata Repository.
    elevation, soil
        Folders of public files.
    hosts
        Hosts, with all below them, from which a file may be downloaded; credentials go nowhere else.
    is_https
        Whether addresses must be https.
    """

    search: str = "https://cmr.earthdata.nasa.gov/search/"
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
        address = urlsplit(url)
        host = address.hostname or ""
        is_ours = any(host == one or host.endswith(f".{one}") for one in self.hosts)
        if not is_ours or (self.is_https and address.scheme != "https"):
            raise FetchProblem(
                host or url[:60],
                found="a file offered at a host that is not the archive's"
                if not is_ours
                else "an address without https",
                expected=f"one of {', '.join(self.hosts)}" if not is_ours else "https",
                remedy="It was not asked for.",
            )
