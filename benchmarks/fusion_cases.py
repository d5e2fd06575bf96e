"""Records of the fusion benchmark, and which of their values are hidden."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.config.fusion import Fusion
from vadose.fuse.base import TARGET
from vadose.grids import lonlat, named_grid
from vadose.pipeline.fusing import plan
from vadose.pipeline.fusion_sources import fusion_of_files, open_record
from vadose.pipeline.gap_judging import LENGTHS
from vadose.synthetic import world
from vadose.validate.gap_table import hide_gaps

#: Share of the observed values that is hidden in the synthetic world.
SHARE = 0.15
#: A value over South Africa is hidden where the one so many days later is missing; the first is the protocol's.
LAG, OTHER_LAGS = 3, (1, 2, 4)
#: How many blocks of days of each length are hidden at the pixels of CONUS, all of them at once.
OUTAGES = {1: 15, 3: 5, 10: 2, 30: 1}
#: The pixels of CONUS are every fourth cell of the grid.
APART = 4
#: Depth in mm of the buckets whose mean filling stands for a land model there, and their porosity.
BUCKETS, POROSITY = (8, 25, 80), 0.45


@dataclass(frozen=True, eq=False)
class Case:
    """Hold a record with what is hidden of it.

    Attributes
    ----------
    name, title
        In tables.
    seen
        The satellite with the hidden values, dims ``time, y, x``; NaN in gaps.
    model
        The land model, likewise, and its context.
    hidden
        True where a value is hidden.
    truth
        What the satellite would have seen without an error, if that is known.
    is_map
        Cells are neighbours on the ground.
    """

    name: str
    title: str
    seen: xr.DataArray
    model: xr.Dataset
    hidden: xr.DataArray
    truth: xr.DataArray | None = None
    is_map: bool = True

    @property
    def known(self) -> xr.DataArray:
        """Give the record without what is hidden."""
        return self.seen.where(~self.hidden)


def synthetic_world(*, factor: int = 4, days: int = 120, seed: int = 0) -> Case:
    """Make the synthetic world, with gaps of other days for 1 to 30 days hidden in it."""
    earth = world(size=128, days=days, factor=factor, seed=seed, stations=1)
    seen = earth.coarse[TARGET]
    hidden = hide_gaps(seen, rng=seed, share=SHARE, lengths=LENGTHS)
    title = f"synthetic world, {factor} km, {days} days"
    return Case("world", title, seen, earth.land_model, hidden, earth.coarse_truth[TARGET])


def south_africa(folder: Path, *, lag: int = LAG) -> Case:
    """Read SMAP 9 km and ERA5-Land as `vadose fuse` does; the mask of some days later is hidden."""
    given = fusion_of_files(
        [str(folder / "smap_l3e_south_africa_202001.nc")],
        [str(folder / "era5land_swvl1_daily_south_africa_202001.nc")],
        settings={},
    )
    record, _ = open_record(Fusion(**given), folder, lambda done, total: None)
    whole = slice(0, record.satellite.sizes["time"])
    is_land = plan(record, lambda *told: None).edges.is_land
    satellite, model = record.read(whole, is_land)
    seen = satellite[TARGET]
    is_seen = seen.notnull().values
    hidden = np.zeros_like(is_seen)
    hidden[:-lag] = is_seen[:-lag] & ~is_seen[lag:]
    name = "south_africa" if lag == LAG else f"south_africa_lag_{lag}"
    title = (
        f"South Africa, SMAP 9 km and ERA5-Land, mask of {lag} day{'s' * (lag > 1)} later hidden"
    )
    return Case(name, title, seen, model, seen.copy(data=hidden))


def conus_smap(path: Path, *, seed: int = 0) -> Case:
    """Read the pixels of CONUS; blocks of days are hidden at all of them at once.

    The pixels keep their places, so that two neighbours are four cells of 36 km apart: series with little
    in common, and nothing at all on a hidden day.
    """
    from conus_inputs import WARM_UP, balance, filling, read

    record = read(path)
    days = record.given
    water = balance(record.forcings)
    index = np.mean([filling(water, depth) for depth in BUCKETS], axis=0)
    modelled = POROSITY * index[:, WARM_UP : WARM_UP + days]
    rows, columns = places(path)
    stamps = record.time.values[:days].astype("M8[ns]")
    shape = (days, int(rows.max()) + 1, int(columns.max()) + 1)
    fields = np.full((2, *shape), np.nan, "f4")
    fields[0][:, rows, columns] = record.target[:, :days].T
    fields[1][:, rows, columns] = modelled.T
    labels = {
        "time": stamps,
        "y": -np.arange(shape[1], dtype="f8"),
        "x": np.arange(shape[2], dtype="f8"),
    }
    seen, model = (xr.DataArray(one, labels, ("time", "y", "x")) for one in fields)
    rng = np.random.default_rng(seed)
    is_out = np.zeros(days, bool)
    for length in sorted(OUTAGES, reverse=True):
        for _ in range(OUTAGES[length]):
            # a day on either side keeps two outages from becoming a longer one
            free = [
                first
                for first in range(1, days - length)
                if not is_out[first - 1 : first + length + 1].any()
            ]
            first = int(rng.choice(free))
            is_out[first : first + length] = True
    hidden = seen.notnull() & xr.DataArray(is_out, {"time": stamps}, ("time",))
    title = f"CONUS, SMAP 36 km at {len(rows)} pixels and an index of rain, blocks of days hidden"
    return Case("conus_smap", title, seen, model.to_dataset(name=TARGET), hidden, is_map=False)


def places(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give row and column of each pixel, counted in steps of four cells of EASE-Grid 2.0."""
    grid = named_grid("EASE2_36km")
    longitude, latitude = lonlat(grid)
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        pixels = opened[["lat", "lon"]].load()
    row = np.abs(latitude[:, :1].T - pixels["lat"].values[:, None]).argmin(axis=1)
    column = np.abs(longitude[:1] - pixels["lon"].values[:, None]).argmin(axis=1)
    return (row - row.min()) // APART, (column - column.min()) // APART
