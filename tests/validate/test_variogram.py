"""Variograms against all pairs one by one, with gaps, on maps and at stations."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.grids import coordinates, latlon
from vadose.validate.resolution import cell_lengths, effective_resolution
from vadose.validate.variogram import station_variograms, variograms

GRID = latlon(0.25, (0, 50, 3.5, 53))


@pytest.fixture(scope="module")
def pair() -> dict[str, xr.DataArray]:
    rng = np.random.default_rng(0)
    truth = np.cumsum(0.02 * rng.standard_normal((2, *GRID.shape)), axis=2) + 0.3
    product = 0.5 * truth + 0.01 * rng.standard_normal(truth.shape)
    truth[rng.random(truth.shape) < 0.2] = np.nan
    product[rng.random(truth.shape) < 0.2] = np.nan
    coords = {**coordinates(GRID), "time": np.array(["2019-07-01", "2019-07-02"], "M8[ns]")}
    return {
        name: xr.DataArray(one, dims=("time", "y", "x"), coords=coords)
        for name, one in (("product", product), ("truth", truth))
    }


def test_all_pairs_are_counted_as_one_by_one(pair: dict[str, xr.DataArray]) -> None:
    told = variograms(pair, reference="truth", longest=100.0)
    rows, columns = np.indices(GRID.shape)
    height, width = (float(one[0]) for one in cell_lengths(GRID, [6], [7]))
    for step in range(2):
        p, o = (pair[name].values[step] for name in ("product", "truth"))
        known = np.isfinite(p) & np.isfinite(o)
        y, x, p, o = (one[known] for one in (rows * height, columns * width, p, o))
        first, other = np.triu_indices(y.size, 1)
        lag = np.hypot(y[first] - y[other], x[first] - x[other])
        lag_class = np.rint(lag / max(height, width)).astype(int)
        dp, do = p[first] - p[other], o[first] - o[other]
        for place in range(told.sizes["scale"]):
            is_in = (lag_class == place + 1) & (lag <= 100.0)
            assert int(told["number"][step, place]) == is_in.sum()
            for name, product, expected in (
                ("variance", "product", dp * dp),
                ("variance", "truth", do * do),
                ("covariance", "product", dp * do),
                ("covariance", "truth", do * do),
            ):
                found = told[name].sel(product=product).values[step, place]
                assert found == pytest.approx(0.5 * expected[is_in].mean(), rel=1e-9)


def test_lags_are_means_over_their_pairs_and_half_a_wave(pair: dict[str, xr.DataArray]) -> None:
    told = variograms(pair, longest=60.0)
    assert (np.diff(told["lag"]) > 0).all()
    np.testing.assert_array_equal(told["wavelength"], 2 * told["lag"])
    assert np.isnan(told["covariance"]).all()


def test_lags_beyond_the_map_are_refused(pair: dict[str, xr.DataArray]) -> None:
    with pytest.raises(
        ValueProblem, match=r"longest: found 1e\+03 km on a map of 12 x 14 cells of"
    ):
        variograms(pair, longest=1000.0)
    empty = {name: one.where(False) for name, one in pair.items()}
    with pytest.raises(ValueProblem, match="no pair of places on any day"):
        variograms(empty)


@pytest.fixture(scope="module")
def at_stations() -> dict[str, xr.DataArray]:
    rng = np.random.default_rng(3)
    shape = (20, 30)
    readings = 0.3 + 0.05 * rng.standard_normal(shape)
    product = 0.4 * readings + 0.02 * rng.standard_normal(shape)
    readings[rng.random(shape) < 0.3] = np.nan
    coords = {
        "lat": ("station", 40 + rng.random(20)),
        "lon": ("station", (179.5 + rng.random(20)) % 360),
        "time": np.arange("2019-07-01", "2019-07-31", dtype="M8[D]").astype("M8[ns]"),
    }
    return {
        name: xr.DataArray(one, dims=("station", "time"), coords=coords)
        for name, one in (("product", product), ("stations", readings))
    }


def test_stations_are_paired_as_one_by_one(at_stations: dict[str, xr.DataArray]) -> None:
    edges = [0.0, 20.0, 40.0, 80.0]
    told = station_variograms(at_stations, edges, reference="stations")
    p, o = (at_stations[name].values for name in ("product", "stations"))
    sums = np.zeros((3, 3))
    earth = pyproj.Geod(a=6371008.8, b=6371008.8)
    lat, lon = (at_stations["product"][name].values for name in ("lat", "lon"))
    for one in range(20):
        for other in range(one + 1, 20):
            lag = earth.inv(lon[one], lat[one], lon[other], lat[other])[2] / 1000
            place = int(np.searchsorted(edges, lag, side="right")) - 1
            if not 0 <= place < 3:
                continue
            is_both = np.isfinite(o[one]) & np.isfinite(o[other])
            dp, do = ((x[one] - x[other])[is_both] for x in (p, o))
            sums[:, place] += is_both.sum(), (dp**2).sum(), (dp * do).sum()
    np.testing.assert_array_equal(told["number"], sums[0])
    np.testing.assert_allclose(told["variance"].sel(product="product"), sums[1] / sums[0] / 2)
    np.testing.assert_allclose(told["covariance"].sel(product="product"), sums[2] / sums[0] / 2)


def test_a_bias_of_the_whole_map_has_no_say(at_stations: dict[str, xr.DataArray]) -> None:
    shifted = {**at_stations, "product": at_stations["product"] + 5.0}
    one, other = (
        station_variograms(each, [0.0, 50.0, 100.0], reference="stations")
        for each in (at_stations, shifted)
    )
    xr.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_product_that_follows_stations_far_apart_alone_is_coarse_there() -> None:
    """A product that is one value for each cluster of stations, 100 km apart from the next."""
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(8), 6)
    level = 0.1 * rng.standard_normal((8, 40))[cluster]
    readings = level + 0.05 * rng.standard_normal((48, 40))
    coords = {
        "lat": ("station", 40 + 0.01 * rng.random(48)),
        "lon": ("station", 1.2 * cluster + 0.05 * rng.random(48)),
    }
    fields = {
        name: xr.DataArray(values, dims=("station", "time"), coords=coords)
        for name, values in (("coarse", level), ("stations", readings))
    }
    told = station_variograms(fields, [0.0, 20.0, 250.0, 1000.0], reference="stations")
    found = effective_resolution(told, "coarse")
    assert found.status == "found"
    assert 2 * 4.0 < found.wavelength < 2 * 250.0
    assert effective_resolution(told, "stations").status == "at the finest scale"


def test_stations_that_cannot_be_paired_are_refused(at_stations: dict[str, xr.DataArray]) -> None:
    with pytest.raises(ValueProblem, match=r"edges: found \[5\.0, 1\.0\]"):
        station_variograms(at_stations, [5.0, 1.0])
    with pytest.raises(ValueProblem, match="no pair with readings at one time in any class"):
        station_variograms(at_stations, [5000.0, 6000.0])
    with pytest.raises(
        CubeProblem, match=r"product: found .*'time': 30.* expected station and time"
    ):
        station_variograms(
            {"stations": at_stations["stations"][:, 1:], "product": at_stations["product"]}, [0, 9]
        )
    with pytest.raises(UnknownName, match="reference 'c'"):
        station_variograms(at_stations, [0.0, 9.0], reference="c")
    with pytest.raises(ValueProblem, match="products: found none"):
        station_variograms({}, [0.0, 9.0])
