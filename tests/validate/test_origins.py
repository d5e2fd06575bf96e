"""Stations tell of filled days apart from observed ones."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import NoOverlap, ValueProblem
from vadose.schema import ORIGIN
from vadose.synthetic import World, world
from vadose.validate.metrics import METRICS
from vadose.validate.origins import score_by_origin
from vadose.validate.pairs import match
from vadose.validate.statistics import moments
from vadose.validate.strata import label_from_map


@pytest.fixture(scope="module")
def made() -> World:
    return world(size=32, days=200, factor=4, seed=0)


@pytest.fixture(scope="module")
def origin(made: World) -> xr.DataArray:
    seen = made.coarse["origin"] == ORIGIN.code("observed")
    codes = np.where(seen, ORIGIN.code("observed"), ORIGIN.code("filled"))
    return made.coarse["origin"].copy(data=codes.astype("u1"))


@pytest.fixture(scope="module")
def pairs(made: World, origin: xr.DataArray) -> xr.Dataset:
    truth = made.truth["soil_moisture"]
    coarse = truth.coarsen(y=4, x=4).mean().assign_coords(y=origin["y"], x=origin["x"])
    coarse = coarse.assign_coords(spatial_ref=made.coarse["spatial_ref"])
    spoiled = coarse + xr.where(origin == ORIGIN.code("filled"), 0.1, 0.0)
    return match({"even": coarse, "spoiled": spoiled}, made.stations)


def test_each_kind_of_day_is_scored_by_itself(pairs: xr.Dataset, origin: xr.DataArray) -> None:
    found = score_by_origin(pairs, origin, rng=0)
    label = label_from_map(origin, pairs).transpose("station", "time").values
    assert found["is_used"].sum() >= 3
    for place in range(pairs.sizes["station"]):
        for days, code in (("observed", 1), ("filled", 3)):
            where = pairs["is_pair"].values[place] & (label[place] == code)
            for product in ("even", "spoiled"):
                one = moments(
                    pairs["value"].sel(product=product).values[place][where],
                    pairs["reading"].values[place][where],
                )
                own = found.sel(product=product, days=days).isel(station=place)
                for name in ("n", "rmse", "r", "bias"):
                    np.testing.assert_allclose(own[name], METRICS[name](one), rtol=1e-9)


def test_what_filling_costs_is_found(pairs: xr.Dataset, origin: xr.DataArray) -> None:
    found = score_by_origin(pairs, origin, rng=0)
    change = found.sel(score="bias")
    spoiled, even = (change.sel(product=name) for name in ("spoiled", "even"))
    assert float(spoiled["change"] - even["change"]) == pytest.approx(0.1, abs=1e-6)
    assert float(spoiled["change_lower"]) > 0.05
    assert float(even["change_lower"]) < float(even["change"]) < float(even["change_upper"])
    used = found["is_used"].values
    mean = found["bias"].values[:, used]
    np.testing.assert_allclose(change["change"], (mean[..., 1] - mean[..., 0]).mean(axis=1))


def test_other_origins_are_counted_and_extrapolated_days_were_seen(
    pairs: xr.Dataset, origin: xr.DataArray
) -> None:
    codes = origin.values.copy()
    codes[:20] = ORIGIN.code("masked")
    codes[20:60][codes[20:60] == ORIGIN.code("observed")] = ORIGIN.code("extrapolated")
    found = score_by_origin(pairs, origin.copy(data=codes), rng=0)
    count = int(pairs["is_pair"].sum())
    total = int(found["n"].isel(product=0).sum())
    assert total + int(found["without_origin"]) == count
    assert 0 < int(found["without_origin"]) <= int(pairs["is_pair"][:, :20].sum())


def test_stations_with_few_days_of_a_kind_are_not_used(
    pairs: xr.Dataset, origin: xr.DataArray
) -> None:
    found = score_by_origin(pairs, origin, minimum_pairs=10_000, rng=0)
    assert not found["is_used"].any()
    assert found["change"].isnull().all()
    assert found["rmse"].notnull().any()


def test_the_seed_decides(pairs: xr.Dataset, origin: xr.DataArray) -> None:
    one = score_by_origin(pairs, origin, rng=1)
    xr.testing.assert_identical(one, score_by_origin(pairs, origin, rng=1))
    assert not one["change_lower"].equals(score_by_origin(pairs, origin, rng=2)["change_lower"])


def test_what_cannot_be_scored_is_refused(
    made: World, pairs: xr.Dataset, origin: xr.DataArray
) -> None:
    with pytest.raises(ValueProblem, match=r"no pair on a day that is filled.*gaps filled"):
        score_by_origin(pairs, xr.ones_like(origin), rng=0)
    with pytest.raises(ValueProblem, match="no pair on a day that is observed"):
        score_by_origin(pairs, xr.full_like(origin, 3), rng=0)
    with pytest.raises(ValueProblem, match="level: found 2"):
        score_by_origin(pairs, origin, level=2.0, rng=0)
    far = pairs.assign_coords(lat=("station", np.full(pairs.sizes["station"], -60.0)))
    with pytest.raises(NoOverlap, match="stations"):
        score_by_origin(far, origin, rng=0)
