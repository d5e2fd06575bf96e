"""Spectra against closed forms: white noise is flat, a wave stands at its length, cells are measured."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import ValueProblem
from vadose.grids import coordinates, latlon, named_grid
from vadose.validate.resolution import cell_lengths
from vadose.validate.spectrum import spectra


def on(grid: object, values: np.ndarray) -> xr.DataArray:
    dims = ("time", "y", "x")[-values.ndim :]
    return xr.DataArray(values, dims=dims, coords=coordinates(grid))  # type: ignore[arg-type]


@pytest.mark.parametrize("box", [32, 33])
def test_white_noise_is_flat_at_its_variance(box: int) -> None:
    grid = named_grid("EASE2_9km")[400:528, 900:1028]
    rng = np.random.default_rng(0)
    noise = on(grid, 0.2 * rng.standard_normal((10, 128, 128)))
    told = spectra({"noise": noise}, box=box)
    height, width = cell_lengths(grid, [64], [64])
    expected = 0.2**2 * height[0] * width[0]
    mean = told["variance"].sel(product="noise").mean("time").values
    np.testing.assert_allclose(mean[2:], expected, rtol=0.08)
    assert np.isnan(told["covariance"]).all()


def test_the_power_adds_up_to_the_variance() -> None:
    """Rings cover the plane up to the shortest wave along an axis, π/4 of it on square cells."""
    grid = named_grid("EASE2_1km")[3620:3748, 27468:27596]
    rng = np.random.default_rng(0)
    noise = on(grid, rng.standard_normal((4, 128, 128)))
    told = spectra({"noise": noise}, box=32)
    step = 1.0 / told["wavelength"].values[0]
    rings = 2 * np.pi * step / told["wavelength"].values
    total = (told["variance"].sel(product="noise").mean("time") * rings).sum()
    assert float(total) == pytest.approx(np.pi / 4, rel=0.06)


def test_a_wave_stands_at_its_length_on_the_ground() -> None:
    """North of 60° a degree of longitude is half as long: waves are measured in km, not in cells."""
    grid = latlon(0.25, (0, 52, 32, 68))
    rows, columns = np.indices(grid.shape)
    height, width = (one[0] for one in cell_lengths(grid, [32], [64]))
    assert width == pytest.approx(height / 2, rel=0.02)
    for field, length in (
        (np.sin(2 * np.pi * rows / 8), 8 * height),
        (np.sin(2 * np.pi * columns / 16), 16 * width),
    ):
        told = spectra({"wave": on(grid, field)}, box=32)
        power = told["variance"].sel(product="wave") * told["number"]
        place = int(power.argmax("scale"))
        assert float(told["wavelength"][place]) == pytest.approx(length, rel=0.15)


def test_a_slope_over_the_map_is_no_wave() -> None:
    grid = latlon(0.1, (0, 0, 6.4, 6.4))
    rows, columns = np.indices((64, 64))
    plane = on(grid, 5.0 + 0.3 * rows - 0.2 * columns)
    assert float(spectra({"plane": plane}, box=64)["variance"].max()) < 1e-20


def test_fields_in_common_and_apart_are_told() -> None:
    grid = named_grid("EASE2_9km")[400:528, 900:1028]
    rng = np.random.default_rng(0)
    common, own, other = rng.standard_normal((3, 6, 128, 128))
    told = spectra(
        {"a": on(grid, common + own), "b": on(grid, common + other), "c": on(grid, other)},
        reference="a",
        box=32,
    ).mean("time")
    ratio = told["covariance"] / told["variance"].sel(product="a", drop=True)
    np.testing.assert_allclose(ratio.sel(product="b")[2:], 0.5, atol=0.06)
    np.testing.assert_allclose(ratio.sel(product="c")[2:], 0.0, atol=0.06)
    np.testing.assert_allclose(ratio.sel(product="a"), 1.0)


def test_chunks_and_fields_without_time_are_the_same() -> None:
    grid = named_grid("EASE2_9km")[400:464, 900:964]
    noise = on(grid, np.random.default_rng(0).standard_normal((2, 64, 64)))
    whole = spectra({"noise": noise}, box=32)
    xr.testing.assert_identical(
        spectra({"noise": noise.chunk({"time": 1, "y": 20})}, box=32), whole
    )
    one = spectra({"noise": noise[1]}, box=32)
    assert "time" not in one.dims
    np.testing.assert_array_equal(one["variance"], whole["variance"].isel(time=1))


def test_maps_without_a_box_are_refused() -> None:
    grid = named_grid("EASE2_9km")[400:464, 900:964]
    holed = np.zeros((64, 64))
    holed[::10, ::10] = np.nan
    with pytest.raises(
        ValueProblem, match=r"no box of 16 x 16 cells without gaps on any of 1 days.*variogram"
    ):
        spectra({"holed": on(grid, holed)}, box=16)
    with pytest.raises(
        ValueProblem, match="box: found 65 cells on a map of 64 x 64, expected 8 to 64"
    ):
        spectra({"holed": on(grid, holed)}, box=65)
