"""NASA's archives through earthaccess: login, search in the Common Metadata Repository, granules over https.

Granules come whole, or cut by `vadose.products.fetching.subsets`.

earthaccess keeps the login, the session and the search up to date with NASA; the bytes are taken by
`vadose.products.fetching.transfer`, which resumes and verifies.
"""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vadose.errors import FileProblem
from vadose.products.collections import COLLECTIONS, Collection
from vadose.products.fetching.accounts import ACCOUNTS
from vadose.products.fetching.base import (
    FetchProblem,
    LoginProblem,
    Offer,
    Policy,
    Wanted,
    checked_name,
)
from vadose.products.fetching.gate import ALL
from vadose.products.fetching.harmony import Harmony
from vadose.products.fetching.logins import log_in
from vadose.products.fetching.manifest import Manifest
from vadose.products.fetching.planning import expected, key_of, period_of
from vadose.products.fetching.reach import attempts_of, is_unreached, unreached
from vadose.products.fetching.servers import Servers
from vadose.products.fetching.subsets import Subsets
from vadose.products.fetching.transfer import BUSY, Downloads, Sessions

if TYPE_CHECKING:
    import requests

#: Most granules of a search.
MOST = 200_000
#: Hash functions as the repository names them.
ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}


class Earthdata(Downloads):
    """Search and download granules.

    Parameters
    ----------
    servers, policy
        Where, and how patiently.
    """

    def __init__(self, servers: Servers, policy: Policy) -> None:
        super().__init__(servers, policy, Sessions(self._session), workers=policy.workers)
        self._auth: Any = None
        self._lock = threading.Lock()

    def _login(self) -> Any:
        """Log in once, by the way that finds credentials.

        Raises
        ------
        LoginProblem, MissingExtra
        """
        with self._lock:
            self.gate.wait(ALL)  # what was refused once is not asked for again for each product
            if self._auth is None:
                try:
                    self._auth = log_in(self.servers)
                except FetchProblem as problem:
                    self.gate.close(problem, ALL)
                    raise
            return self._auth

    def offers(self, wanted: Wanted) -> list[Offer]:
        """Search for the granules of a product.

        Raises
        ------
        FetchProblem
            No login, no answer, or no granule.
        """
        auth = self._login()
        from earthaccess.search import DataGranules  # which the login has found to be installed

        collection = COLLECTIONS[wanted.product]
        version = wanted.version or collection.version
        query = DataGranules(auth).short_name(collection.short_name).version(version)
        query = query.bounding_box(*wanted.region)
        if collection.cadence != "tile_degree":
            first, last = period_of(wanted)
            query = query.temporal(first, last)
        where = f"{collection.short_name} {version}"
        try:
            granules = self._search(query, where)
        finally:
            query.session.close()
        keys = expected(wanted, collection)  # searches also give what only touches box or period
        offers: dict[str, Offer] = {}
        self.refused = []
        for granule in granules:
            try:
                for offer in offers_of(granule, wanted, collection, version):
                    self.servers.check_url(offer.url)
                    if key_of(Path(offer.name), wanted.product, collection) in keys:
                        offers.setdefault(offer.name, offer)
            except (FileProblem, FetchProblem) as problem:
                self.refused.append(
                    FetchProblem(where, found=problem.found, expected=problem.expected)
                )
            except ValueError:
                self.refused.append(FetchProblem(where, found="a granule at no address"))
        if not offers and not self.refused:
            raise FetchProblem(
                where,
                found="no granule in the box and period",
                remedy=f"There may be a newer version: see {collection.page}, and name it with "
                f"--collection {wanted.product}=VERSION.",
            )
        return list(offers.values())

    def subsets(self, manifest: Manifest) -> Subsets:
        """Give what has granules cut before they are downloaded.

        Parameters
        ----------
        manifest
            Remembers jobs.
        """
        harmony = Harmony(self.servers.harmony, self._sessions, self.policy, self.gate)
        return Subsets(harmony, self._sessions, self.servers, manifest)

    def _search(self, query: Any, where: str) -> list[Any]:
        """Ask until there is an answer; a busy server gets its pauses."""
        for attempt in range(1, self.policy.attempts + 1):
            try:
                with warnings.catch_warnings():
                    # of earthaccess about itself
                    warnings.simplefilter("ignore", FutureWarning)
                    found = list(query.get(MOST))
                self.gate.is_reached = True
                return found
            except (RuntimeError, OSError, ValueError) as error:
                answer = getattr(error.__cause__, "response", None)
                if is_unreached(error) and attempt >= attempts_of(
                    self.policy, self.gate, is_unreached=True
                ):
                    problem = unreached(self.servers.search, error)
                    if not self.gate.is_reached:
                        self.gate.close(problem, ALL)
                    raise problem from error
                status = 0 if answer is None else int(answer.status_code)
                if status in (401, 403):
                    raise LoginProblem(
                        where,
                        found=f"a search that was refused ({status})",
                        expected="a token that has not expired",
                        remedy=f"Renew it in {ACCOUNTS['earthdata'].where}.",
                    ) from None
                if attempt == self.policy.attempts or status not in (0, *BUSY):
                    raise FetchProblem(
                        where,
                        found=f"no answer to a search ({status or type(error).__name__})",
                        remedy="Run the same command again later.",
                    ) from error
                pause = min(self.policy.pause * 2 ** (attempt - 1), self.policy.longest_pause)
                self.gate.tell(f"{where}: no answer to a search; again in {pause:.0f} s")
                self.gate.rest(pause, ALL)
        raise AssertionError("the last attempt returns or raises")

    def _session(self) -> requests.Session:
        session: requests.Session = self._login().get_session()
        return session


def offers_of(
    granule: dict[str, Any], wanted: Wanted, collection: Collection, version: str
) -> list[Offer]:
    """Take the data files of a granule: checked names, https addresses, sizes and checksums.

    Raises
    ------
    FileProblem
        A name that is not the product's.
    """
    record, meta = granule["umm"], granule.get("meta", {})
    stated: dict[str, dict[str, Any]] = {}
    for one in record.get("DataGranule", {}).get("ArchiveAndDistributionInformation", []):
        stated[str(one.get("Name", ""))] = one
    offers = []
    for link in record.get("RelatedUrls", []):
        url = str(link.get("URL", ""))
        if link.get("Type") != "GET DATA" or not url.startswith("http"):
            continue
        name = checked_name(
            urlsplit(url).path.rpartition("/")[2], collection.names, source=collection.short_name
        )
        facts = stated.get(name, {})
        size = facts.get("SizeInBytes")
        checksum = facts.get("Checksum") or {}
        algorithm = ALGORITHMS.get(str(checksum.get("Algorithm")), "")
        offer = Offer(
            product=wanted.product,
            name=name,
            url=url,
            size=int(size) if isinstance(size, int | float) and size > 0 else None,
            checksum=str(checksum.get("Value", "")).lower() if algorithm else "",
            algorithm=algorithm,
            collection=collection.short_name,
            version=version,
            asked={
                "granule": str(meta.get("concept-id", "")),
                "collection": str(meta.get("collection-concept-id", "")),
                "title": str(record.get("GranuleUR", "")),
            },
        )
        offers.append(offer)
        break  # others are copies, or pictures
    return offers
