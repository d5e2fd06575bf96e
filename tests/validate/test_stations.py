"""Products are scored at stations on common station-days; every one that is lost has one reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.cubes.regrid import nearest, smooth
from vadose.errors import CubeProblem, NoOverlap, UnknownName, ValueProblem
from vadose.grids import grid_of
from vadose.validate.match import at_stations
from vadose.validate.metrics import METRICS
from vadose.validate.stations import REASONS, score_stations, station_gains, summary
from vadose.validate.statistics import moments

Fields = dict[str, xr.DataArray]


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=32, days=20, factor=4, seed=0)


@pytest.fixture(scope="module")
def products(world: vadose.synthetic.World) -> Fields:
    truth, coarse = world.truth["soil_moisture"], world.coarse["soil_moisture"]
    return {
        "truth": truth,
        "nearest": nearest(coarse, grid_of(truth)),
        "smooth": smooth(coarse, grid_of(truth)),
    }


@pytest.fixture(scope="module")
def score(products: Fields, world: vadose.synthetic.World) -> xr.Dataset:
    return score_stations(products, world.stations, minimum_pairs=5)


def common_pairs(
    products: Fields, stations: xr.Dataset
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Take the sample the plain way: all products where all of them and the station have a value."""
    taken = {name: at_stations(field, stations).values for name, field in products.items()}
    is_pair = ~np.isnan(stations["soil_moisture"].values)
    for values in taken.values():
        is_pair = is_pair & ~np.isnan(values)
    return taken, is_pair


# --- scores ---


def test_scores_are_those_of_a_plain_computation(
    score: xr.Dataset, products: Fields, world: vadose.synthetic.World
) -> None:
    taken, is_pair = common_pairs(products, world.stations)
    readings = world.stations["soil_moisture"].values.astype("f8")
    assert set(METRICS) <= set(score)
    assert (score["n"] == is_pair.sum(axis=1)).all()
    assert score["is_used"].any()
    for product in products:
        for place in np.flatnonzero(score["is_used"]):
            p = taken[product][place, is_pair[place]].astype("f8")
            o = readings[place, is_pair[place]]
            one = score.sel(product=product).isel(station=place)
            assert float(one["bias"]) == pytest.approx((p - o).mean())
            assert float(one["rmse"]) == pytest.approx(np.sqrt(((p - o) ** 2).mean()))
            assert float(one["ubrmse"]) == pytest.approx((p - o).std())
            assert float(one["r"]) == pytest.approx(np.corrcoef(p, o)[0, 1])


def test_a_station_on_the_truth_but_for_an_offset_is_only_biased(
    world: vadose.synthetic.World,
) -> None:
    truth = world.truth["soil_moisture"].astype("f8")
    exact = at_stations(truth, world.stations)
    stations = world.stations.assign(soil_moisture=exact - 0.03)
    own = summary(score_stations({"truth": truth}, stations))["products"]["truth"]
    assert own["bias"]["median"] == pytest.approx(0.03)
    assert own["rmse"]["upper_quartile"] == pytest.approx(0.03)
    assert own["ubrmse"]["upper_quartile"] == pytest.approx(0.0, abs=1e-8)
    assert own["r"]["lower_quartile"] == pytest.approx(1.0)
    assert own["pooled"]["r"] == pytest.approx(1.0)
    assert own["r_spatial"]["median"] == pytest.approx(1.0)


def test_the_gap_of_one_product_is_left_out_of_all(
    products: Fields, world: vadose.synthetic.World
) -> None:
    rng = np.random.default_rng(0)
    truth = world.truth["soil_moisture"]
    holes = {name: truth.where(rng.random(truth.shape) > 0.2) for name in ("one", "other")}
    together = score_stations(holes, world.stations, minimum_pairs=2)
    _, is_pair = common_pairs(holes, world.stations)
    assert (together["n"] == is_pair.sum(axis=1)).all()
    for name in METRICS:
        one, other = together[name].values
        assert np.array_equal(one, other, equal_nan=True), name


def test_spatial_score_is_over_the_stations_of_a_step(
    score: xr.Dataset, products: Fields, world: vadose.synthetic.World
) -> None:
    taken, is_pair = common_pairs(products, world.stations)
    is_pair &= score["is_used"].values[:, None]
    readings = world.stations["soil_moisture"].values
    is_defined = is_pair.sum(axis=0) >= 5
    assert is_defined.any()
    assert not is_defined.all()
    assert np.array_equal(score["r_spatial"].sel(product="truth").notnull(), is_defined)
    for step in np.flatnonzero(is_defined):
        sample = is_pair[:, step]
        expected = np.corrcoef(taken["truth"][sample, step], readings[sample, step])[0, 1]
        found = float(score["r_spatial"].sel(product="truth").isel(time=step))
        assert found == pytest.approx(expected, abs=1e-6)
    steps = summary(score)["products"]["truth"]["r_spatial"]["steps"]
    assert steps == is_defined.sum()


def test_skill_over_stations_and_over_time_differ(world: vadose.synthetic.World) -> None:
    """A field that gives every station its course but not its level, and one that does the reverse."""
    truth = world.truth["soil_moisture"].astype("f8")
    stations = world.stations.assign(soil_moisture=at_stations(truth, world.stations))
    anomaly, level = truth - truth.mean("time"), truth.mean("time")
    result = summary(score_stations({"course": anomaly, "level": level}, stations))["products"]
    assert result["course"]["r"]["median"] == pytest.approx(1.0)
    assert result["level"]["r"]["median"] == 0.0
    assert result["level"]["r_undefined"] == 12
    assert result["level"]["r_spatial"]["median"] > result["course"]["r_spatial"]["median"]


def test_pooled_scores_are_those_of_all_station_days_at_once(
    score: xr.Dataset, products: Fields, world: vadose.synthetic.World
) -> None:
    taken, is_pair = common_pairs(products, world.stations)
    is_pair &= score["is_used"].values[:, None]
    found = summary(score)
    for name, values in taken.items():
        whole = moments(values[is_pair], world.stations["soil_moisture"].values[is_pair])
        for metric, function in METRICS.items():
            pooled = found["products"][name]["pooled"][metric]
            assert pooled == pytest.approx(function(whole), rel=1e-9), metric
    assert found["station_days"] == is_pair.sum()


def test_lazy_products_score_the_same(
    score: xr.Dataset, products: Fields, world: vadose.synthetic.World
) -> None:
    lazy = {name: one.chunk({"time": 6, "y": 9, "x": 32}) for name, one in products.items()}
    assert score_stations(lazy, world.stations, minimum_pairs=5).identical(score)


def test_products_of_other_grids_and_periods_meet_on_common_days(
    world: vadose.synthetic.World,
) -> None:
    late = {
        "coarse": world.coarse_truth["soil_moisture"].isel(time=slice(5, 20)),
        "fine": world.truth["soil_moisture"].isel(time=slice(0, 17)),
        "copied": nearest(
            world.coarse_truth["soil_moisture"], grid_of(world.truth["soil_moisture"])
        ),
    }
    result = score_stations(late, world.stations)
    assert result.sizes["time"] == 12
    for name in METRICS:
        coarse, copied = (result[name].sel(product=product) for product in ("coarse", "copied"))
        assert np.allclose(coarse, copied, rtol=1e-5, atol=1e-7, equal_nan=True)


def test_intervals_of_days_meet_their_mean(world: vadose.synthetic.World) -> None:
    truth = world.truth["soil_moisture"].astype("f8")
    stations = world.stations.assign(soil_moisture=at_stations(truth, world.stations))
    means = truth.coarsen(time=4, coord_func="min").mean()
    result = score_stations({"mean": means}, stations, days=4, minimum_pairs=5)
    assert (result["n"] == 5).all()
    assert float(result["rmse"].max()) < 1e-7
    assert float(score_stations({"mean": means}, stations, minimum_pairs=5)["rmse"].min()) > 1e-4


# --- what is lost ---


@pytest.fixture(scope="module")
def holed(world: vadose.synthetic.World) -> xr.Dataset:
    """Give station 0 a place elsewhere, station 1 no reading, station 2 three."""
    stations = world.stations.copy(deep=True)
    stations["lon"].values[0] = -100.0
    stations["soil_moisture"].values[1] = np.nan
    stations["soil_moisture"].values[2, 3:] = np.nan
    stations["soil_moisture"].values[2:, :3] = 0.2
    return stations


def test_every_station_day_is_used_or_lost_for_one_reason(
    products: Fields, holed: xr.Dataset
) -> None:
    field = products["truth"].copy()
    field[:2] = np.nan
    result = score_stations({"truth": field}, holed)
    lost = summary(result)["lost"]
    assert tuple(lost) == REASONS
    assert lost["outside the grid"] == {"stations": 1, "station_days": 20}
    readings = holed["soil_moisture"].values[1:]
    assert lost["no station value"] == {"stations": 1, "station_days": np.isnan(readings).sum()}
    assert lost["no product value"] == {"stations": 0, "station_days": 20}
    assert lost["too few pairs"] == {"stations": 1, "station_days": 1}
    total = summary(result)
    assert total["stations"] + sum(one["stations"] for one in lost.values()) == 12
    assert total["station_days"] + sum(one["station_days"] for one in lost.values()) == 12 * 20


def test_a_station_where_a_product_never_has_a_value_is_lost_to_it(
    products: Fields, world: vadose.synthetic.World
) -> None:
    cells = at_stations(products["truth"].isel(time=0, drop=True), world.stations)
    field = products["truth"].where(products["truth"].isel(time=0) != cells[4, 0].item())
    lost = summary(score_stations({"truth": field}, world.stations))["lost"]
    assert lost["no product value"]["stations"] == 1


def test_stations_with_too_few_pairs_have_no_metrics_but_a_count(
    products: Fields, holed: xr.Dataset
) -> None:
    result = score_stations({"truth": products["truth"]}, holed).isel(station=2, product=0)
    assert float(result["n"]) == 3
    assert not result["is_used"]
    assert all(np.isnan(result[name]) for name in METRICS if name != "n")


def test_without_a_station_of_enough_pairs_there_is_a_count_and_no_number(
    products: Fields, world: vadose.synthetic.World
) -> None:
    result = score_stations(products, world.stations, minimum_pairs=21)
    found = summary(result)
    assert found["stations"] == 0
    assert found["lost"]["too few pairs"]["stations"] == 12
    assert np.isnan(found["products"]["truth"]["r"]["median"])
    assert np.isnan(found["products"]["truth"]["pooled"]["rmse"])
    assert found["products"]["truth"]["r_spatial"]["steps"] == 0
    gains = station_gains(result, "nearest", rng=0)
    assert np.isnan(list(gains["products"]["truth"]["rmse"].values())).all()


def test_a_summary_can_be_written_as_json(score: xr.Dataset) -> None:
    json.dumps([summary(score), station_gains(score, "smooth", rng=0)], allow_nan=False)


def test_a_score_survives_writing(score: xr.Dataset, tmp_path: object) -> None:
    path = f"{tmp_path}/score.nc"
    score.to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as back:
        assert summary(back.load()) == summary(score)


# --- gains ---


def test_a_product_equal_to_the_baseline_gains_exactly_nothing(
    products: Fields, world: vadose.synthetic.World
) -> None:
    fields = {**products, "copy": products["nearest"].copy()}
    result = score_stations(fields, world.stations, minimum_pairs=5)
    gains = station_gains(result, "nearest", rng=3)
    nothing = {"median": 0.0, "lower": 0.0, "upper": 0.0}
    for name in ("copy", "nearest"):
        assert all(one == nothing for one in gains["products"][name].values())
    assert set(gains["products"]["copy"]) == {"rmse", "ubrmse", "mae", "absolute_bias", "r"}


@pytest.mark.parametrize("baseline", ["nearest", "smooth"])
def test_the_truth_gains_over_the_coarse_input(score: xr.Dataset, baseline: str) -> None:
    gains = station_gains(score, baseline, rng=0)
    own = gains["products"]["truth"]
    assert own["rmse"]["median"] > 0
    assert own["r"]["median"] > 0
    for one in own.values():
        assert one["lower"] <= one["median"] <= one["upper"]
    assert gains["baseline"] == baseline
    assert gains["stations"] == int(score["is_used"].sum())
    assert "95 %" in gains["interval"]
    assert "bootstrap over stations" in gains["interval"]


def test_a_gain_is_the_median_of_paired_differences(score: xr.Dataset) -> None:
    used = score.isel(station=np.flatnonzero(score["is_used"]))
    own, base = used.sel(product="truth"), used.sel(product="nearest")
    found = station_gains(score, "nearest", rng=0)["products"]["truth"]
    assert found["rmse"]["median"] == float((base["rmse"] - own["rmse"]).median())
    assert found["r"]["median"] == float((own["r"] - base["r"]).median())
    bias = abs(base["bias"]) - abs(own["bias"])
    assert found["absolute_bias"]["median"] == float(bias.median())


def test_a_seed_gives_the_same_interval_and_a_generator_goes_on(score: xr.Dataset) -> None:
    one, same, other = (station_gains(score, "nearest", rng=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert station_gains(score, "nearest", rng=np.random.default_rng(1)) == one


def test_the_interval_holds_the_true_median_about_as_often_as_it_says(score: xr.Dataset) -> None:
    """Errors of 25 stations are drawn 300 times with a known median gain of 0.01."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        drawn = xr.Dataset(
            {name: (("product", "station"), np.full((2, 25), 0.1)) for name in METRICS},
            coords={"product": ["nearest", "model"]},
        ).assign(is_used=("station", np.ones(25, bool)))
        drawn["rmse"][1] = 0.09 + rng.normal(0, 0.02, 25)
        own = station_gains(drawn, "nearest", rng=rng, draws=200)["products"]["model"]["rmse"]
        hits += own["lower"] <= 0.01 <= own["upper"]
    assert 0.90 <= hits / 300 <= 0.99


def test_one_station_has_no_interval(products: Fields, world: vadose.synthetic.World) -> None:
    result = score_stations(products, world.stations.isel(station=[5]), minimum_pairs=2)
    own = station_gains(result, "nearest", rng=0)["products"]["truth"]["rmse"]
    assert np.isfinite(own["median"])
    assert np.isnan([own["lower"], own["upper"]]).all()


def test_an_unknown_baseline_is_answered_with_the_known_ones(score: xr.Dataset) -> None:
    with pytest.raises(UnknownName, match="expected one of nearest, smooth, truth"):
        station_gains(score, "nearst", rng=0)
    with pytest.raises(ValueProblem, match="draws: found 0, expected 1 or more"):
        station_gains(score, "nearest", rng=0, draws=0)


# --- faults ---


def test_no_station_in_the_grid_names_both_boxes(
    products: Fields, world: vadose.synthetic.World
) -> None:
    away = world.stations.assign_coords(lon=world.stations["lon"] - 90)
    with pytest.raises(NoOverlap, match=r"they lie in \(1[45].*, the grid in \(10[45]"):
        score_stations(products, away)


def test_no_day_in_common_names_both_periods(
    products: Fields, world: vadose.synthetic.World
) -> None:
    later = world.stations.assign_coords(time=world.stations["time"] + np.timedelta64(365, "D"))
    with pytest.raises(
        NoOverlap,
        match="stations 2020-03-31 to 2020-04-19, product 2019-04-01 to 2019-04-20",
    ):
        score_stations(products, later)


def test_products_of_other_periods_are_named(
    products: Fields, world: vadose.synthetic.World
) -> None:
    truth = products["truth"]
    halves = {"early": truth.isel(time=slice(0, 9)), "late": truth.isel(time=slice(9, 20))}
    words = "late: found no stamp in common: it has 2019-04-10 to 2019-04-20, those before it 2019"
    with pytest.raises(NoOverlap, match=words):
        score_stations(halves, world.stations)


def test_no_common_station_day_counts_the_reasons(
    products: Fields, world: vadose.synthetic.World
) -> None:
    even = products["truth"]["time"].dt.day % 2 == 0
    fields = {"even": products["truth"].where(even), "odd": products["truth"].where(~even)}
    with pytest.raises(
        ValueProblem,
        match=r"no station-day in common \(.*no product value: \d+, no value of another product: \d+\)",
    ):
        score_stations(fields, world.stations)


def test_repeated_stamps_and_no_products_are_refused(
    products: Fields, world: vadose.synthetic.World
) -> None:
    twice = products["truth"].isel(time=[0, 0, 1])
    with pytest.raises(CubeProblem, match="twice: found stamps that repeat, expected one step"):
        score_stations({"twice": twice}, world.stations)
    with pytest.raises(ValueProblem, match="products: found none, expected one or more"):
        score_stations({}, world.stations)
