"""Public files without an account: tiles of the Copernicus DEM, and windows of the maps of SoilGrids."""

from __future__ import annotations

from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from vadose.products.collections import COLLECTIONS
from vadose.products.fetching.base import FetchProblem, Offer, Policy, Wanted
from vadose.products.fetching.planning import expected
from vadose.products.fetching.servers import Servers
from vadose.products.fetching.tiles import corner, degree_tiles
from vadose.products.fetching.transfer import Downloads, Gate, Sessions, open_session


class Elevation(Downloads):
    """Download whole tiles of the Copernicus DEM (90 m); tiles of the sea do not exist.

    Parameters
    ----------
    servers, policy
        Where, and how patiently.
    """

    def __init__(self, servers: Servers, policy: Policy) -> None:
        super().__init__(servers, policy, Sessions(open_session), workers=policy.workers)

    def offers(self, wanted: Wanted) -> list[Offer]:
        """List the tiles of a box; their names are known without asking."""
        collection = COLLECTIONS[wanted.product]
        form = "Copernicus_DSM_COG_30_{ns}{lat:02d}_00_{ew}{lon:03d}_00_DEM"
        stems = [corner(*one, form) for one in degree_tiles(wanted.region)]
        return [
            Offer(
                product=wanted.product,
                name=f"{stem}.tif",
                url=f"{self.servers.elevation}{stem}/{stem}.tif",
                collection=collection.short_name,
                version=collection.version,
            )
            for stem in stems
        ]


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

    def offers(self, wanted: Wanted) -> list[Offer]:
        """List the maps; their names are known without asking."""
        collection = COLLECTIONS[wanted.product]
        return [
            Offer(
                product=wanted.product,
                name=f"{name}_0-5cm_mean_1000.tif",
                url=f"{self.servers.soil}{name}/{name}_0-5cm_mean_1000.tif",
                collection=collection.short_name,
                version=collection.version,
                asked={"region": list(wanted.region)},
            )
            for _, name in expected(wanted, collection)
        ]

    def get(self, offer: Offer, part: Path) -> int:
        """Read the window of one map and write it.

        Raises
        ------
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
            detail = " ".join(str(error).split())[:200]
            raise FetchProblem(
                offer.name,
                found=f"no map that can be read at {offer.url} ({detail})",
                remedy="Run the same command again later.",
            ) from error
        return 0

    def close(self) -> None:
        """Close nothing: GDAL keeps its own connections."""


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]
