"""An export by month: whole files under their names, and no more work than is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from vadose.errors import FileProblem
from vadose.grids import grid_of
from vadose.store import netcdf, open_netcdf, packing_of, write_months

MONTHS = ["map_2019-01.nc", "map_2019-02.nc"]


def test_months_together_are_the_cube(tmp_path: Path, earth: xr.Dataset) -> None:
    files = write_months(earth.chunk(time=7), tmp_path, "map")
    assert [file.name for file in files] == MONTHS
    assert sorted(tmp_path.iterdir()) == files
    parts = [open_netcdf(file).compute() for file in files]
    assert [part.sizes["time"] for part in parts] == [12, 8]
    for part in parts:
        assert (part["time"].values.astype("M8[M]") == part["time"].values[0].astype("M8[M]")).all()
        assert grid_of(part) == grid_of(earth)
    joined = xr.concat(
        parts, "time", data_vars="minimal", coords="minimal", compat="equals", join="exact"
    )
    xr.testing.assert_identical(joined, earth)


def test_months_may_be_packed(tmp_path: Path, earth: xr.Dataset) -> None:
    packing = packing_of("soil_moisture")
    assert packing is not None
    first, _ = write_months(earth, tmp_path, "map", packed=True)
    found = open_netcdf(first)["soil_moisture"]
    error = abs(found.astype("f8") - earth["soil_moisture"].isel(time=slice(0, 12)).astype("f8"))
    assert 0 < float(error.max()) <= packing.step / 2


@pytest.mark.parametrize(
    "choose",
    [lambda cube: cube.isel(time=slice(0, 12)), lambda cube: cube[["elevation"]]],
)
def test_one_month_or_none_is_one_file(
    tmp_path: Path, earth: xr.Dataset, choose: Callable[[xr.Dataset], xr.Dataset]
) -> None:
    (file,) = write_months(choose(earth), tmp_path, "map")
    assert file.name == "map.nc"
    xr.testing.assert_identical(open_netcdf(file).compute(), choose(earth))


def test_years_are_told_apart(tmp_path: Path, earth: xr.Dataset) -> None:
    days = np.array(["2018-12-31", "2019-01-01", "2019-12-31"], dtype="M8[s]")
    files = write_months(earth.isel(time=slice(0, 3)).assign_coords(time=days), tmp_path, "map")
    assert [file.name for file in files] == ["map_2018-12.nc", "map_2019-01.nc", "map_2019-12.nc"]


def interrupted(cube: xr.Dataset, step: int) -> xr.Dataset:
    """Give a cube that cannot be read from one day on."""

    def fail(block: np.ndarray, block_info: dict | None = None) -> np.ndarray:  # type: ignore[type-arg]
        if block_info and block_info[None]["chunk-location"][0] >= step:
            raise KeyboardInterrupt
        return block

    values = da.from_array(cube["soil_moisture"].values, chunks=(1, -1, -1))
    broken = cube.copy()
    broken["soil_moisture"] = cube["soil_moisture"].copy(
        data=values.map_blocks(fail, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
    )
    return broken


def test_an_interrupted_export_goes_on(
    tmp_path: Path, earth: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_months(interrupted(earth, 15), tmp_path, "map", key="a")
    assert [file.name for file in sorted(tmp_path.iterdir())] == [".map.months.jsonl", MONTHS[0]]
    written = []
    write = netcdf.write_netcdf

    def watched(cube: xr.Dataset, path: Path, **how: bool) -> Path:
        written.append(path.name)
        return write(cube, path, **how)

    monkeypatch.setattr(netcdf, "write_netcdf", watched)
    files = write_months(earth, tmp_path, "map", key="a")
    assert written == MONTHS[1:]
    assert sorted(tmp_path.iterdir()) == files
    assert [open_netcdf(file).sizes["time"] for file in files] == [12, 8]


def test_only_what_is_whole_and_the_same_is_kept(tmp_path: Path, earth: xr.Dataset) -> None:
    for key, change in (("b", b""), ("a", b"more")):
        with pytest.raises(KeyboardInterrupt):
            write_months(interrupted(earth, 15), tmp_path, "map", key="a", overwrite=True)
        with (tmp_path / MONTHS[0]).open("ab") as file:
            file.write(change)
        with pytest.raises(FileProblem, match=r"map_2019-01\.nc: found an earlier result"):
            write_months(earth, tmp_path, "map", key=key)
        assert len(write_months(earth, tmp_path, "map", key=key, overwrite=True)) == 2


def test_earlier_files_are_not_replaced_unasked(tmp_path: Path, earth: xr.Dataset) -> None:
    write_months(earth, tmp_path, "map", key="a")
    with pytest.raises(FileProblem, match="overwrite=True to replace it"):
        write_months(earth, tmp_path, "map", key="a")
    with pytest.raises(FileProblem, match="gone: found no such folder"):
        write_months(earth, tmp_path / "gone", "map")
