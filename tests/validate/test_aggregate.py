"""Strata have the scores of their own pairs, merge to the whole, and say when they are small."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.errors import CubeProblem, ValueProblem
from vadose.validate.aggregate import score_strata
from vadose.validate.metrics import ALL_METRICS
from vadose.validate.pairs import match
from vadose.validate.scores import moments_of
from vadose.validate.statistics import moments
from vadose.validate.strata import month, wetness


@pytest.fixture(scope="module")
def matchup() -> xr.Dataset:
    world = vadose.synthetic.world(size=16, days=100, factor=4, seed=0)
    fields = {"truth": world.truth["soil_moisture"], "coarse": world.coarse["soil_moisture"]}
    return match(fields, world.stations)


def label_of(matchup: xr.Dataset, *dims: str, seed: int = 0) -> xr.DataArray:
    """Draw labels a, b, c and none, with any of the dims of a matchup."""
    rng = np.random.default_rng(seed)
    names = np.array(["a", "b", "c", ""])
    shape = [matchup.sizes[name] for name in dims]
    return xr.DataArray(names[rng.integers(0, 4, shape)], dims=dims, name="drawn")


DIMS = [
    ("station",),
    ("time",),
    ("station", "time"),
    ("time", "station"),
    ("product", "time"),
    ("product",),
    ("product", "station", "time"),
]


@pytest.mark.parametrize("dims", DIMS)
def test_a_stratum_has_the_scores_of_its_pairs(matchup: xr.Dataset, dims: tuple[str, ...]) -> None:
    label = label_of(matchup, *dims, seed=3)
    found = score_strata(matchup, label)
    whole = label.broadcast_like(matchup["value"]).transpose("product", "station", "time").values
    is_pair = matchup["is_pair"].values
    total = np.zeros(2)
    for row in range(2):
        for stratum in found["stratum"].values:
            sample = is_pair & (whole[row] == stratum)
            own = moments(matchup["value"].values[row][sample], matchup["reading"].values[sample])
            one = found.sel(stratum=stratum, view="pooled").isel(product=row)
            for name, metric in ALL_METRICS.items():
                expected = pytest.approx(metric(own), rel=1e-9, abs=1e-12, nan_ok=True)
                assert float(one[name]) == expected, name
            total[row] += own.n
    assert "" not in found["stratum"].values
    assert np.array_equal(found["without_stratum"], is_pair.sum() - total)


def test_medians_are_over_the_stations_with_enough_pairs(matchup: xr.Dataset) -> None:
    label = label_of(matchup, "station", "time")
    found = score_strata(matchup, label, station_pairs=14)
    for row, stratum in np.ndindex(2, 3):
        rows = []
        for station in range(12):
            sample = matchup["is_pair"].values[station]
            sample = sample & (label.values[station] == "abc"[stratum])
            if sample.sum() >= 14:
                p = matchup["value"].values[row, station, sample].astype("f8")
                rows.append(np.sqrt(((p - matchup["reading"].values[station, sample]) ** 2).mean()))
        one = found["rmse"].isel(product=row, stratum=stratum)
        assert found["stations"].values[row, stratum] == len(rows)
        quartiles = np.quantile(rows, [0.5, 0.25, 0.75])
        assert np.allclose(one[1:], quartiles, rtol=1e-9)
    assert 0 < found["stations"].min() < 12


def test_strata_merge_to_the_whole(matchup: xr.Dataset) -> None:
    found = score_strata(matchup, month(matchup)).sel(view="pooled")
    whole = moments_of(matchup).merge_along(1)
    assert np.array_equal(found["n"].sum("stratum"), whole.n)
    squares = (found["n"] * found["rmse"] ** 2).sum("stratum") / found["n"].sum("stratum")
    assert np.allclose(squares, ALL_METRICS["rmse"](whole) ** 2, rtol=1e-9)


def test_small_strata_say_so(matchup: xr.Dataset) -> None:
    names = np.array(["many"] * 9 + ["two"] * 2 + ["one"])
    label = xr.DataArray(names, dims="station")
    found = score_strata(matchup, label).sel(product="truth")
    assert found["is_small"].sel(stratum=["many", "two"]).values.tolist() == [False, True]
    assert bool(score_strata(matchup, label, minimum_pairs=10**6)["is_small"].all())
    assert "fewer than 50 pairs or 3 stations" in found.attrs["small"]


def test_flags_give_names_and_numbers_that_they_do_not_know_are_none(matchup: xr.Dataset) -> None:
    found = score_strata(matchup, wetness(matchup))
    assert found["stratum"].values.tolist() == ["dry", "medium", "wet"]
    assert (found["without_stratum"] == 0).all()
    codes = xr.DataArray(
        np.r_[np.full(6, 10), np.full(4, 50), np.full(2, 99)],
        dims="station",
        name="land_cover",
        attrs={"flag_values": [10, 20, 50], "flag_meanings": "tree shrub town"},
    )
    by_class = score_strata(matchup, codes)
    assert by_class["stratum"].values.tolist() == ["tree", "town"]
    assert by_class.attrs["label"] == "land_cover"
    assert (by_class["without_stratum"] > 0).all()


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (np.r_[np.full(6, 1.0), np.full(5, 2.0), np.nan], [1.0, 2.0]),
        (np.arange(12) % 2 == 0, [False, True]),
        (np.array(["dune", None] * 6, dtype=object), ["dune"]),
        (np.arange(12) % 3 - 1, [-1, 0, 1]),
    ],
)
def test_labels_of_any_kind_are_strata(
    matchup: xr.Dataset, values: np.ndarray, names: list[object]
) -> None:
    found = score_strata(matchup, xr.DataArray(values, dims="station"))
    assert found["stratum"].values.tolist() == names


def test_an_undefined_correlation_counts_as_none_and_is_told(matchup: xr.Dataset) -> None:
    flat = matchup.copy(deep=True)
    flat["value"].values[1] = 0.2
    found = score_strata(flat).sel(stratum="all")
    assert float(found["r"].sel(product="coarse", view="median")) == 0.0
    assert found["r_undefined"].values.tolist() == [0, 12]
    assert np.isnan(float(found["kge_2012"].sel(product="coarse", view="median")))


def test_what_is_no_label_is_refused(matchup: xr.Dataset) -> None:
    with pytest.raises(CubeProblem, match=r"label cover: found dims \{'y': 2\}, expected some of"):
        score_strata(matchup, xr.DataArray([1, 2], dims="y", name="cover"))
    with pytest.raises(CubeProblem, match=r"label: found dims \{'station': 2\}"):
        score_strata(matchup, xr.DataArray([1, 2], dims="station"))
    with pytest.raises(ValueProblem, match="label cover: found no pair with a stratum"):
        score_strata(matchup, xr.DataArray(np.full(12, np.nan), dims="station", name="cover"))
