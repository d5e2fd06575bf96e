"""Products and stations are paired on one sample, and every stamp that is no pair has one reason."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.cubes.regrid import nearest, smooth
from vadose.errors import CubeProblem, NoOverlap, UnknownName, ValueProblem
from vadose.grids import grid_of
from vadose.validate.match import at_stations
from vadose.validate.pairs import REASONS, match
from vadose.validate.spaces import Footprint
from vadose.validate.times import Days, Window

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


def test_a_pair_is_where_all_have_a_value(products: Fields, world: vadose.synthetic.World) -> None:
    pairs = match(products, world.stations)
    expected = world.stations["soil_moisture"].notnull().values
    for name, field in products.items():
        own = at_stations(field, world.stations)
        assert np.array_equal(pairs["value"].sel(product=name), own, equal_nan=True)
        expected = expected & own.notnull().values
    assert np.array_equal(pairs["is_pair"], expected)
    assert (pairs["n"] == expected.sum(axis=1)).all()
    assert np.array_equal(pairs["reading"], world.stations["soil_moisture"], equal_nan=True)


def test_every_stamp_is_a_pair_or_lost_for_one_reason_of_each_product(
    products: Fields, world: vadose.synthetic.World
) -> None:
    stations = world.stations.copy(deep=True)
    stations["lon"].values[0] = -100.0
    stations["soil_moisture"].values[1] = np.nan
    stations["soil_moisture"].values[2:] = 0.2
    late = products["truth"].where(products["truth"]["time"].dt.day > 5)
    even = products["truth"].where(products["truth"]["time"].dt.day % 2 == 0)
    pairs = match({"late": late, "even": even}, stations)
    assert (pairs["n"] + pairs["lost"].sum("reason") == 20).all()
    assert pairs["reason"].values.tolist() == list(REASONS)
    lost = pairs["lost"]
    assert lost.isel(station=0).values.tolist() == [[20, 0, 0, 0]] * 2
    assert lost.isel(station=1).values.tolist() == [[0, 20, 0, 0]] * 2
    # of 20 days 5 come before the 6th, 10 are odd, and 8 are even and late
    one = lost.isel(station=2)
    assert one.sel(product="late").values.tolist() == [0, 0, 5, 7]
    assert one.sel(product="even").values.tolist() == [0, 0, 10, 2]


def test_a_product_of_a_smaller_grid_narrows_the_sample_of_all(
    products: Fields, world: vadose.synthetic.World
) -> None:
    part = products["truth"].isel(y=slice(0, 16))
    pairs = match({"whole": products["truth"], "part": part}, world.stations)
    is_outside = ~pairs["is_inside"].sel(product="part").values
    assert 0 < is_outside.sum() < 12
    assert pairs["is_inside"].sel(product="whole").all()
    assert not pairs["is_pair"].values[is_outside].any()
    lost = pairs["lost"].isel(station=is_outside)
    assert (lost.sel(product="part", reason="outside the grid") == 20).all()
    assert (lost.sel(product="whole", reason="no value of another product") > 0).any()


@pytest.mark.parametrize("chunks", [{"time": 6, "y": 9, "x": 32}, {"time": 20, "y": 5, "x": 7}])
@pytest.mark.parametrize("space", [None, Footprint(3.0)])
def test_lazy_products_in_any_chunks_give_the_same(
    products: Fields, world: vadose.synthetic.World, chunks: dict[str, int], space: object
) -> None:
    lazy = {name: one.chunk(chunks) for name, one in products.items()}
    expected = match(products, world.stations, space=space)  # type: ignore[arg-type]
    assert match(lazy, world.stations, space=space).identical(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("space", [None, Footprint(2.0)])
def test_each_chunk_with_stations_is_read_once(
    world: vadose.synthetic.World, space: object
) -> None:
    truth, read = world.truth["soil_moisture"], []

    def load(block: np.ndarray, block_info: dict[int, dict[str, object]]) -> np.ndarray:
        read.append(tuple(block_info[0]["chunk-location"]))  # type: ignore[arg-type]
        return block

    blocks = dask.array.from_array(truth.values, chunks=(10, 8, 8))
    lazy = blocks.map_blocks(load, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
    match({"truth": truth.copy(data=lazy)}, world.stations, space=space)  # type: ignore[arg-type]
    assert read
    assert len(set(read)) == len(read)


def test_each_product_may_have_its_own_space(
    products: Fields, world: vadose.synthetic.World
) -> None:
    coarse = Footprint(8.0)
    pairs = match(products, world.stations, space={"truth": coarse}, time=Days())
    wide = match({"truth": products["truth"]}, world.stations, space=coarse)
    assert np.allclose(pairs["value"].sel(product="truth"), wide["value"][0], equal_nan=True)
    assert "truth: Footprint(size=8.0" in pairs.attrs["space"]
    with pytest.raises(UnknownName, match=r"expected one of nearest, smooth, truth. Did you mean"):
        match(products, world.stations, space={"thruth": coarse})


def test_a_window_of_hours_takes_readings_around_the_stamp(world: vadose.synthetic.World) -> None:
    truth = world.truth["soil_moisture"].isel(time=slice(0, 3))
    overpass = truth.assign_coords(time=truth["time"] + np.timedelta64(6, "h"))
    hours = truth["time"].values[0] + np.arange(72) * np.timedelta64(1, "h")
    readings = np.tile(np.arange(72.0) / 100, (12, 1))
    stations = xr.Dataset(
        {"soil_moisture": (("station", "time"), readings)},
        coords={
            "lat": world.stations["lat"],
            "lon": world.stations["lon"],
            "time": hours,
        },
    )
    pairs = match({"overpass": overpass}, stations, time=Window(2))
    assert np.allclose(pairs["reading"], [0.06, 0.30, 0.54])
    assert pairs.attrs["time_matching"] == "Window(hours=2, how='mean')"


# --- depth ---


def sensors(world: vadose.synthetic.World) -> xr.Dataset:
    """Give every station one sensor at 5 cm and one at 50 cm, which is wetter by 0.1."""
    one = world.stations["soil_moisture"].values
    names = world.stations["station"].values
    return xr.Dataset(
        {"soil_moisture": (("sensor", "time"), np.concatenate([one, one + 0.1]))},
        coords={
            "time": world.stations["time"],
            "station": ("sensor", np.tile(names, 2)),
            "depth_from": ("sensor", np.repeat([0.05, 0.5], 12)),
            "depth_to": ("sensor", np.repeat([0.05, 0.5], 12)),
            **{
                name: ("sensor", np.tile(world.stations[name].values, 2))
                for name in ("network", "lat", "lon")
            },
        },
    )


def test_sensors_are_averaged_over_the_layer_of_the_products(
    products: Fields, world: vadose.synthetic.World
) -> None:
    deep = sensors(world)
    assert products["truth"].attrs["depth_to"] == 0.05
    surface = match({"truth": products["truth"]}, deep)
    assert np.allclose(surface["reading"], world.stations["soil_moisture"], equal_nan=True)
    # the probes part at 27.5 cm, and measure 0-10 and 27.5-72.5 cm: more than half of a metre
    profile = match({"truth": products["truth"]}, deep, layer=(0.0, 1.0))
    expected = world.stations["soil_moisture"] + 0.1 * 0.725
    assert np.allclose(profile["reading"], expected, equal_nan=True, atol=1e-7)
    with pytest.raises(NoOverlap, match="no station that measures 60% of it at any time"):
        match({"truth": products["truth"]}, deep, layer=(0.0, 1.0), minimum_share=0.6)


def test_a_layer_must_be_known(products: Fields, world: vadose.synthetic.World) -> None:
    bare = {"truth": products["truth"].drop_attrs()}
    with pytest.raises(ValueProblem, match="layer: found no layer in the products' attributes"):
        match(bare, sensors(world))
    two = {"a": products["truth"], "b": products["truth"].assign_attrs(depth_to=0.1)}
    with pytest.raises(ValueProblem, match=r"found 0 to 0.05 m, 0 to 0.1 m, expected one layer"):
        match(two, sensors(world))


# --- faults ---


def test_no_pair_at_all_counts_the_reasons(products: Fields, world: vadose.synthetic.World) -> None:
    even = products["truth"]["time"].dt.day % 2 == 0
    fields = {"even": products["truth"].where(even), "never": products["truth"] * np.nan}
    with pytest.raises(ValueProblem) as caught:
        match(fields, world.stations)
    words = str(caught.value)
    assert "found no station-day in common (no station value: " in words
    assert "no product value, even: " in words
    assert "no product value, never: " in words


def test_what_cannot_be_paired_is_refused(products: Fields, world: vadose.synthetic.World) -> None:
    truth = products["truth"]
    with pytest.raises(ValueProblem, match="products: found none, expected one or more"):
        match({}, world.stations)
    with pytest.raises(CubeProblem, match="twice: found stamps that repeat"):
        match({"twice": truth.isel(time=[0, 0, 1])}, world.stations)
    with pytest.raises(NoOverlap, match="late: found no stamp in common: it has 2019-04-11 to"):
        match(
            {"early": truth.isel(time=slice(0, 5)), "late": truth.isel(time=slice(10, 20))},
            world.stations,
        )
