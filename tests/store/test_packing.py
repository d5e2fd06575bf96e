"""Packed values are within half a step, gaps stay gaps, zero stays zero, and nothing wraps round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import pytest
import xarray as xr
import zarr

from vadose.errors import UnknownName, ValueProblem
from vadose.schema import VARIABLES
from vadose.store import (
    open_cube,
    open_netcdf,
    open_windows,
    packing_of,
    sha256,
    write_cube,
    write_netcdf,
)

FORMATS: dict[str, tuple[Callable[..., Path], Callable[[Path], xr.Dataset]]] = {
    "zarr": (write_cube, open_cube),
    "nc": (write_netcdf, open_netcdf),
}
each_format = pytest.mark.parametrize("suffix", FORMATS)
PACKED = [name for name in VARIABLES if packing_of(name) is not None]


@pytest.mark.parametrize("name", PACKED)
def test_every_reader_unpacks_the_same_bits(name: str) -> None:
    packing = packing_of(name)
    assert packing is not None
    low, high = VARIABLES[name].valid_range
    codes = [int(code) for code in packing.encode(np.array([low, high, np.nan]))]
    assert codes[2] == -32768
    assert -32767 <= codes[0] < codes[1] <= 32767
    assert codes[1] - codes[0] > 32767  # more than half of the codes are of use
    every = np.arange(codes[0], codes[1] + 1).astype("i2")
    single = every.astype("f4") * np.float32(packing.step) + np.float32(packing.offset)
    double = every.astype("f8") * packing.step + packing.offset
    assert np.array_equal(single, double)
    assert (double[0], double[-1]) == (low, high)
    assert (0.0 in double) == (low <= 0.0 <= high)
    assert np.array_equal(packing.encode(single), every)


def test_what_equal_steps_would_spoil_is_not_packed() -> None:
    for name in (
        "origin",
        "land_cover",
        "is_frozen",
        "snow_water_equivalent",
        "longitude",
        "own_slope",
    ):
        assert packing_of(name) is None
    assert packing_of("precipitation_index_30_days") is None
    assert packing_of("ndvi_mean_8_days") is not None
    with pytest.raises(UnknownName):
        packing_of("moisture")


@each_format
def test_packed_cubes_come_back_within_half_a_step(
    tmp_path: Path, earth: xr.Dataset, suffix: str
) -> None:
    write, read = FORMATS[suffix]
    found = read(write(earth, tmp_path / f"cube.{suffix}", packed=True)).compute()
    for name in ("soil_moisture", "elevation"):
        packing = packing_of(name)
        assert packing is not None
        assert found[name].dtype == np.float32
        assert found[name].attrs == earth[name].attrs | {"quantization_step": packing.step}
        assert np.array_equal(found[name].isnull(), earth[name].isnull())
        error = abs(found[name].astype("f8") - earth[name].astype("f8"))
        assert packing.step / 8 < float(error.max()) <= packing.step / 2
    assert (found["soil_moisture"][:, 0, 0] == 0).all()
    for name in ("origin", "quality"):
        xr.testing.assert_identical(found[name], earth[name])
        assert found[name].dtype == earth[name].dtype


@each_format
def test_packing_again_changes_nothing(tmp_path: Path, earth: xr.Dataset, suffix: str) -> None:
    write, read = FORMATS[suffix]
    once = read(write(earth, tmp_path / f"one.{suffix}", packed=True))
    twice = read(write(once, tmp_path / f"two.{suffix}", packed=True))
    plain = read(write(once, tmp_path / f"plain.{suffix}"))
    xr.testing.assert_identical(once.compute(), twice.compute())
    xr.testing.assert_identical(once.compute(), plain.compute())


def test_files_are_of_two_bytes_and_say_how(tmp_path: Path, earth: xr.Dataset) -> None:
    array = zarr.open_group(write_cube(earth, tmp_path / "cube.zarr", packed=True), mode="r")[
        "soil_moisture"
    ]
    assert array.dtype == np.int16
    assert array.fill_value == array.attrs["_FillValue"] == -32768
    with h5netcdf.File(write_netcdf(earth, tmp_path / "cube.nc", packed=True), "r") as file:
        variable = file["soil_moisture"]
        attributes: dict[str, Any] = dict(variable.attrs)
        assert variable.dtype == np.int16
        assert attributes["scale_factor"].dtype == attributes["add_offset"].dtype == np.float32
        assert attributes["_FillValue"] == -32768


@pytest.mark.parametrize("value", [-0.001, 1.001, np.inf, -9999.0])
@each_format
def test_what_no_code_stands_for_is_refused(
    tmp_path: Path, earth: xr.Dataset, suffix: str, value: float
) -> None:
    write, _ = FORMATS[suffix]
    cube = earth.copy(deep=True)
    cube["soil_moisture"][3, 4, 5] = value
    text = rf"soil_moisture: found 1 values that no 16-bit code stands for, the worst {value:g}, expected 0 to 1 m3 m-3\. Mask them, or write without packing"
    with pytest.raises(ValueProblem, match=text):
        write(cube, tmp_path / f"cube.{suffix}", packed=True)
    assert list(tmp_path.iterdir()) == []


def test_windows_are_unpacked_alike(tmp_path: Path, earth: xr.Dataset) -> None:
    path = write_cube(earth, tmp_path / "cube.zarr", packed=True)
    xr.testing.assert_identical(open_windows(path).compute(), open_cube(path).compute())


def test_equal_cubes_make_equal_packed_stores(tmp_path: Path, earth: xr.Dataset) -> None:
    first = write_cube(earth, tmp_path / "1.zarr", packed=True)
    second = write_cube(earth.chunk(time=7), tmp_path / "2.zarr", packed=True)
    double = earth.assign(elevation=earth["elevation"].astype("f8"))
    third = write_cube(double, tmp_path / "3.zarr", packed=True)
    assert sha256(first) == sha256(third) != sha256(second)
