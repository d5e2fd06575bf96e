"""The Climate Data Store: one file for each variable and month, cut to the box there, made on demand.

A request that waits in the store's queue is remembered on the disk, and gone on with by the next run.
"""

from __future__ import annotations

import calendar
import math
import time
from pathlib import Path

from vadose.grids import Region
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching.base import Absent, FetchProblem, Offer, Policy, Wanted
from vadose.products.fetching.bundles import unbundle
from vadose.products.fetching.climate_queue import Lost, Queue
from vadose.products.fetching.planning import SPACING, expected
from vadose.products.fetching.servers import Servers
from vadose.products.fetching.tickets import Ticket
from vadose.products.fetching.transfer import Downloads, Sessions, open_session

#: Requests at a time: the store queues more than a few of one user.
REQUESTS = 2
#: Times that a request is made anew in one run, where the store has lost the one before.
ANEW = 1


class ClimateStore(Downloads):
    """Ask for fields, wait until they are made, and download them.

    Parameters
    ----------
    servers, policy
        Where, and how patiently. The address of the store itself stands with the key, in ``~/.cdsapirc``.
    """

    needs_login = False  # what was made lies in a public store of files

    def __init__(self, servers: Servers, policy: Policy) -> None:
        super().__init__(servers, policy, Sessions(lambda: open_session(servers)), workers=REQUESTS)
        self._queue = Queue(servers, policy, self.gate)

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
                box=outward(wanted),
            )
            for _, stem in expected(wanted, collection)
        ]

    def get(self, offer: Offer, part: Path) -> int:
        """Ask for one month, wait, and download it; gives the attempts beyond the first.

        A request of an earlier run is gone on with. One that the store has lost is made anew, once.

        Raises
        ------
        FetchProblem, LoginProblem, MissingExtra
        """
        self.gate.wait(offer.product)
        ticket = Ticket(part, [self._queue.url, offer.collection, offer.asked])
        until = time.monotonic() + self.policy.longest_wait
        anew, pause = 0, self.policy.pause
        while True:
            number = ticket.number
            if not number:
                _begin_anew(part)
                number = self._queue.submit(offer)
                ticket.remember(number)
            try:
                url, size = self._queue.await_result(number, offer, until)
                retried = super().get(Offer(offer.product, offer.name, url, size or None), part)
            except (Lost, Absent) as problem:
                ticket.forget()
                if isinstance(problem, Lost) and problem.is_full:
                    self._wait_for_room(offer, pause, until)
                    pause = min(2 * pause, self.policy.longest_pause)
                    continue
                if anew == ANEW:
                    raise FetchProblem(
                        offer.name,
                        found=f"{problem.found}, again after it was made anew",
                        remedy="Run the same command again later.",
                    ) from problem
                anew += 1
                self.gate.notes.append(f"{offer.name}: {problem.found}; it was asked for anew.")
                self.gate.tell(f"{offer.name}: asked for anew")
                continue
            ticket.forget()
            unbundle(part, offer.name)
            return retried + anew

    def _wait_for_room(self, offer: Offer, pause: float, until: float) -> None:
        """Wait where the store takes no more requests for now.

        Raises
        ------
        FetchProblem
        """
        if time.monotonic() + pause > until:
            raise FetchProblem(
                offer.name,
                found="a store that takes no more requests for now",
                remedy="Run the same command again later.",
            )
        self.gate.tell(f"{offer.name}: the store takes no more requests for now")
        self.gate.rest(pause, offer.product)

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._queue.close()


def _begin_anew(part: Path) -> None:
    """Drop what another request has brought: the same fields, but not the same bytes."""
    part.unlink(missing_ok=True)
    part.with_name(part.name + ".tag").unlink(missing_ok=True)


def outward(wanted: Wanted) -> Region:
    """Widen a box to the next points of the store's grid.

    Examples
    --------
    >>> outward(Wanted("ERA5", Path("data"), (146.03, -36.0, 149.0, -33.1)))
    (146.0, -36.0, 149.0, -33.0)
    >>> outward(Wanted("ERA5_LAND", Path("data"), (146.3, -36.1, 149.3, -33.1)))
    (146.3, -36.1, 149.3, -33.1)
    """
    step = SPACING[wanted.product.removesuffix("_FLUXES")]
    # 146.3 / 0.1 is a little more than 1463: a box on the grid would be asked for a cell wider
    west, south, east, north = (round(degrees / step, 6) for degrees in wanted.region)
    counts = math.floor(west), math.floor(south), math.ceil(east), math.ceil(north)
    west, south, east, north = (round(count * step, 2) for count in counts)
    return west, south, east, north


def inputs(wanted: Wanted, dataset: str, stem: str) -> dict[str, object]:
    """Write a request: a month of a variable, or of those that belong together; the box to the next grid point.

    Examples
    --------
    >>> wanted = Wanted("ERA5_LAND", Path("data"), (146.03, -36.0, 149.0, -33.0))
    >>> asked = inputs(wanted, "derived-era5-land-daily-statistics", "skin_temperature_2019-12")
    >>> asked["area"], asked["daily_statistic"], asked["day"][-1]
    ([-33.0, 146.0, -36.0, 149.0], 'daily_mean', '31')
    """
    variable, _, month = stem.rpartition("_")
    year, number = month.split("-")
    west, south, east, north = outward(wanted)
    days = calendar.monthrange(int(year), int(number))[1]
    asked: dict[str, object] = {
        "variable": list(COLLECTIONS[wanted.product].together.get(variable, (variable,))),
        "year": year,
        "month": number,
        "day": [f"{day:02d}" for day in range(1, days + 1)],
        "area": [north, west, south, east],
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
