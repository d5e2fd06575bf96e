"""Public files without an account: tiles of the Copernicus DEM, and windows of the maps of SoilGrids."""

from __future__ import annotations

import threading
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from vadose.products.collections import COLLECTIONS
from vadose.products.fetching.base import Absent, FetchProblem, Offer, Policy, Refused, Wanted
from vadose.products.fetching.gate import ALL, Gate
from vadose.products.fetching.planning import expected
from vadose.products.fetching.reach import unreached
from vadose.products.fetching.servers import Servers
from vadose.products.fetching.tiles import corner, degree_tiles
from vadose.products.fetching.transfer import Downloads, Sessions, open_session

#: Answers of an archive that is open: it has the file, or says itself that it has not.
KNOWN = {200, 206, 404}


class Doors:
    """Tell a file that a public archive does not have from an archive that lets nobody in any more.

    Stores of files answer 403 for both, as who may not list them may not know what they lack. An archive that
    gives, or at least knows, one file of a box is open; one that refuses all of them is closed.

    Parameters
    ----------
    servers, policy
        Where, and how patiently.
    sessions
        Connections, one for each thread.
    """

    def __init__(self, servers: Servers, policy: Policy, sessions: Sessions) -> None:
        self.servers, self.policy, self._sessions = servers, policy, sessions
        self._boxes: dict[str, list[Offer]] = {}
        self._answers: dict[str, int] = {}
        self._lock = threading.Lock()

    def remember(self, offers: list[Offer]) -> list[Offer]:
        """Remember what a box has; gives it back."""
        for offer in offers:
            self._boxes[offer.url] = offers
        return offers

    def learn(self, offer: Offer, status: int) -> None:
        """Remember how the archive answered."""
        self._answers[offer.url] = status

    def absence(self, offer: Offer) -> FetchProblem:
        """Judge a file that was refused (403): gives what it means.

        Other files of the box are asked for by their heads, until one of them is not refused.
        """
        self.learn(offer, 403)
        box = self._boxes.get(offer.url, [offer])
        with self._lock:  # others wait for the answer rather than ask the same
            for other in sorted(box, key=lambda one: self._answers.get(one.url, 999)):
                if other.url not in self._answers:
                    self._answers[other.url] = self.ask(other.url)
                if self._answers[other.url] in KNOWN:
                    return Absent(
                        offer.name,
                        found="no such file at the archive (403, while it gives others)",
                        remedy="Run again with --refresh to ask anew.",
                    )
        return FetchProblem(
            offer.collection,
            found=f"an archive that refused all {len(box)} files of the box (403)",
            expected="a public archive",
            remedy="It is closed, or something between it and you refuses; or it has nothing there, as in "
            "the open sea.",
        )

    def ask(self, url: str) -> int:
        """Ask for the head of a file; gives the status, 0 without an answer."""
        import requests

        self.servers.check_url(url)
        try:
            with self._sessions().head(
                url, timeout=self.policy.timeout, allow_redirects=True
            ) as answer:
                return int(answer.status_code)
        except requests.RequestException:
            return 0


class Elevation(Downloads):
    """Download whole tiles of the Copernicus DEM (90 m); tiles of the sea do not exist.

    Parameters
    ----------
    servers, policy
        Where, and how patiently.
    """

    needs_login = False

    def __init__(self, servers: Servers, policy: Policy) -> None:
        sessions = Sessions(lambda: open_session(servers))
        super().__init__(servers, policy, sessions, workers=policy.workers)
        self._doors = Doors(servers, policy, sessions)

    def get(self, offer: Offer, part: Path) -> int:
        """Download one tile; gives the attempts beyond the first.

        Raises
        ------
        Absent
            The archive has no such tile.
        FetchProblem
        """
        try:
            retried = super().get(offer, part)
        except Refused:
            problem = self._doors.absence(offer)
            if not isinstance(problem, Absent):
                self.gate.close(problem, offer.product)
            raise problem from None
        except Absent:
            self._doors.learn(offer, 404)
            raise
        self._doors.learn(offer, 200)
        return retried

    def offers(self, wanted: Wanted) -> list[Offer]:
        """List the tiles of a box; their names are known without asking."""
        collection = COLLECTIONS[wanted.product]
        form = "Copernicus_DSM_COG_30_{ns}{lat:02d}_00_{ew}{lon:03d}_00_DEM"
        stems = [corner(*one, form) for one in degree_tiles(wanted.region)]
        offers = [
            Offer(
                product=wanted.product,
                name=f"{stem}.tif",
                url=f"{self.servers.elevation}{stem}/{stem}.tif",
                collection=collection.short_name,
                version=collection.version,
            )
            for stem in stems
        ]
        return self._doors.remember(offers)


class Soil:
    """Read a window of global maps by range requests, so that a box costs what a box holds.

    Parameters
    ----------
    servers, policy
        Where, and how patiently.
    """

    def __init__(self, servers: Servers, policy: Policy) -> None:
        self.servers, self.policy, self.gate = servers, policy, Gate()
        self.workers = min(2, policy.workers)
        self.refused: list[FetchProblem] = []
        self._sessions = Sessions(lambda: open_session(servers))
        self._doors = Doors(servers, policy, self._sessions)

    def offers(self, wanted: Wanted) -> list[Offer]:
        """List the maps; their names are known without asking."""
        collection = COLLECTIONS[wanted.product]
        offers = [
            Offer(
                product=wanted.product,
                name=f"{name}_0-5cm_mean_1000.tif",
                url=f"{self.servers.soil}{name}/{name}_0-5cm_mean_1000.tif",
                collection=collection.short_name,
                version=collection.version,
                asked={"region": list(wanted.region)},
                box=wanted.region,
            )
            for _, name in expected(wanted, collection)
        ]
        return self._doors.remember(offers)

    def get(self, offer: Offer, part: Path) -> int:
        """Read the window of one map and write it.

        Raises
        ------
        Absent
            The archive has no such map.
        FetchProblem
        """
        self.servers.check_url(offer.url)
        part.parent.mkdir(parents=True, exist_ok=True)
        west, south, east, north = (float(str(one)) for one in _listed(offer.asked["region"]))
        patience = {
            "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
            "GDAL_HTTP_MAX_RETRY": self.policy.attempts - 1,
            "GDAL_HTTP_RETRY_DELAY": self.policy.pause,
            "GDAL_HTTP_TIMEOUT": 20 * self.policy.timeout,
            "GDAL_HTTP_CONNECTTIMEOUT": self.policy.timeout,
            "GDAL_HTTP_NETRC": "NO",
            "VSI_CACHE": False,
            "CPL_VSIL_CURL_NON_CACHED": f"/vsicurl/{offer.url}",
        }
        try:
            # the driver is named: a text in place of the map could make GDAL open other files
            with (
                rasterio.Env(**patience),
                rasterio.open(f"/vsicurl/{offer.url}", driver="GTiff") as source,
            ):
                bounds = transform_bounds("EPSG:4326", source.crs, west, south, east, north)
                whole = Window(0, 0, source.width, source.height)
                window = from_bounds(*bounds, transform=source.transform)
                window = window.round_offsets().round_lengths(op="ceil").intersection(whole)
                values = source.read(1, window=window)
                profile = {
                    **source.profile,
                    "height": values.shape[0],
                    "width": values.shape[1],
                    "transform": source.window_transform(window),
                    "driver": "GTiff",
                    "count": 1,
                    "compress": "deflate",
                    "tiled": False,
                }
                for name in ("blockxsize", "blockysize", "interleave"):
                    profile.pop(name, None)
                with rasterio.open(part, "w", **profile) as target:
                    target.write(values, 1)
        except (RasterioError, OSError, ValueError) as error:
            status = self._doors.ask(
                offer.url
            )  # GDAL tells a map that is lacking from a damaged one in no way
            if status == 403:
                raise self._doors.absence(offer) from None
            if status in (404, 410):
                raise Absent(
                    offer.name,
                    found=f"no such map at the archive ({status})",
                    remedy="It was moved: see its page for the new address.",
                ) from None
            if not status:
                problem = unreached(offer.url, error)
                if not self.gate.is_reached:
                    self.gate.close(problem, ALL)
                raise problem from error
            detail = " ".join(str(error).split())[:200]
            raise FetchProblem(
                offer.name,
                found=f"no map that can be read at {offer.url} ({detail})",
                remedy="Run the same command again later.",
            ) from error
        self.gate.is_reached = True
        return 0

    def close(self) -> None:
        """Close the connections; GDAL keeps its own."""
        self._sessions.close()


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]
