"""The Climate Data Store through its own client: one file for each variable and month, cut to the box there."""

from __future__ import annotations

import calendar
import math
import threading
from pathlib import Path
from typing import Any

from vadose.errors import MissingExtra
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching.accounts import ACCOUNTS, has_credentials
from vadose.products.fetching.base import FetchProblem, LoginProblem, Offer, Policy, Wanted
from vadose.products.fetching.planning import SPACING, expected
from vadose.products.fetching.servers import Servers
from vadose.products.fetching.transfer import ALL, Downloads, Sessions, open_session

#: Requests at a time: the store queues more than a few of one user.
REQUESTS = 2


class ClimateStore(Downloads):
    """Ask for fields, wait until they are made, and download them.

    Parameters
    ----------
    servers, policy
        Where, and how patiently. The address of the store itself stands with the key, in ``~/.cdsapirc``.
    """

    def __init__(self, servers: Servers, policy: Policy) -> None:
        super().__init__(servers, policy, Sessions(open_session), workers=REQUESTS)
        self._local = threading.local()
        self._clients = Sessions(open_session)

    def offers(self, wanted: Wanted) -> list[Offer]:
        """List what will be asked for; nothing is asked yet."""
        collection = COLLECTIONS[wanted.product]
        return [
            Offer(
                product=wanted.product,
                name=f"{stem}.nc",
                url=collection.page,
                collection=collection.short_name,
                asked=inputs(wanted, collection.short_name, stem),
            )
            for _, stem in expected(wanted, collection)
        ]

    def get(self, offer: Offer, part: Path) -> int:
        """Ask for one month of a variable, wait, and download it; gives the attempts beyond the first.

        Raises
        ------
        FetchProblem, LoginProblem, MissingExtra
        """
        import requests

        self.gate.wait(offer.product)
        try:
            result = self._client().retrieve(offer.collection, dict(offer.asked))
            url, size = str(result.location), int(result.content_length)
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in (401, 403):
                problem = LoginProblem(
                    offer.name,
                    found=f"a request that was refused ({status})",
                    expected="a key, and a licence that was accepted",
                    remedy=f"Accept the licence on {offer.url}, and renew the key in "
                    f"{ACCOUNTS['climate_store'].where}.",
                )
                self.gate.close(problem, offer.product)
                raise problem from None
            raise FetchProblem(offer.name, found=f"the answer {status} of the store") from None
        except requests.RequestException as error:
            raise FetchProblem(
                offer.name,
                found=f"a connection that broke ({type(error).__name__})",
                remedy="Run the same command again later.",
            ) from error
        except (RuntimeError, ValueError, KeyError) as error:  # ProcessingFailedError among them
            detail = " ".join(str(error).split())[:200]
            raise FetchProblem(offer.name, found=f"a request that failed ({detail})") from error
        made = Offer(offer.product, offer.name, url, size or None)
        return super().get(made, part)

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._clients.close()

    def _client(self) -> Any:
        if hasattr(self._local, "client"):
            return self._local.client
        try:
            import cdsapi
        except ModuleNotFoundError as error:
            raise MissingExtra("cdsapi", extra="access") from error
        account = ACCOUNTS["climate_store"]
        remedy = f"Register at {account.register}, and put the key into {account.where}."
        if not has_credentials("climate_store"):
            problem = LoginProblem(account.title, found="no key", remedy=remedy)
            self.gate.close(problem, ALL)
            raise problem
        try:
            self._local.client = cdsapi.Client(
                quiet=True,
                progress=False,
                timeout=int(self.policy.timeout) or 1,
                retry_max=self.policy.attempts,
                sleep_max=min(self.policy.longest_pause, 120.0),
                session=self._clients(),
            )
        except Exception as error:  # the client raises plain Exception; its text may hold the key
            problem = LoginProblem(account.title, found="a key that cannot be read", remedy=remedy)
            self.gate.close(problem, ALL)
            raise problem from error
        return self._local.client


def inputs(wanted: Wanted, dataset: str, stem: str) -> dict[str, object]:
    """Write a request: one variable and month, whole days, the box to the next grid point outward.

    Examples
    --------
    >>> wanted = Wanted("ERA5_LAND", Path("data"), (146.03, -36.0, 149.0, -33.0))
    >>> asked = inputs(wanted, "derived-era5-land-daily-statistics", "skin_temperature_2019-12")
    >>> asked["area"], asked["daily_statistic"], asked["day"][-1]
    ([-33.0, 146.0, -36.0, 149.0], 'daily_mean', '31')
    """
    variable, _, month = stem.rpartition("_")
    year, number = month.split("-")
    step = SPACING[wanted.product.removesuffix("_FLUXES")]
    west, south, east, north = wanted.region
    days = calendar.monthrange(int(year), int(number))[1]
    outward = (math.ceil(north / step), math.floor(west / step), math.floor(south / step))
    area = [*(round(count * step, 2) for count in (*outward, math.ceil(east / step)))]
    asked: dict[str, object] = {
        "variable": [variable],
        "year": year,
        "month": number,
        "day": [f"{day:02d}" for day in range(1, days + 1)],
        "area": area,
    }
    if "single-levels" in dataset:
        asked["product_type"] = "reanalysis" if dataset.startswith("derived") else ["reanalysis"]
    if dataset.startswith("derived"):
        return {
            **asked,
            "daily_statistic": "daily_mean",
            "time_zone": "utc+00:00",
            "frequency": "1_hourly",
        }
    return {
        **asked,
        "time": [f"{hour:02d}:00" for hour in range(24)],
        "data_format": "netcdf",
        "download_format": "unarchived",
    }
