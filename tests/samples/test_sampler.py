"""Every sampler: what is taken is put back to the bit, whole or in batches, and what lacks is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.errors import CubeProblem, ValueProblem
from vadose.grids import grid_of, lonlat
from vadose.models.base import check_table, check_target
from vadose.samples import Canvas, Patches, Rows, Sampler, Sequences, assemble
from vadose.samples.sampler import starts
from vadose.store import open_cube, write_cube

Cubes = Callable[..., xr.Dataset]
FEATURES = ["ndvi", "sand", "albedo"]
TARGET = "soil_moisture"
SAMPLERS = [
    Rows(FEATURES),
    Rows(FEATURES, with_position=False),
    Sequences(FEATURES),
    Sequences(FEATURES, length=1),
    Sequences(FEATURES, length=4, overlap=1),
    Sequences(FEATURES, length=4, overlap=3, gaps="hold"),
    Sequences(FEATURES, gaps="hold"),
    Patches(FEATURES),
    Patches(FEATURES, size=4, overlap=1),
    Patches(FEATURES, size=3),
    Patches(FEATURES, size=6, overlap=5),
]
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)


def complete(cube: xr.Dataset) -> np.ndarray:
    """Tell where all features have a value, dims ``time, y, x``."""
    known = cube["ndvi"].notnull() & cube["albedo"].notnull() & cube["sand"].notnull()
    return known.transpose("time", "y", "x").values


def expected(sampler: Sampler, cube: xr.Dataset) -> np.ndarray:
    """Tell which places are put back, by what the docstrings promise, cell by cell."""
    known = complete(cube)
    if not isinstance(sampler, Sequences):
        return known
    if sampler.gaps == "hold":
        ever = [cube[name].notnull() for name in FEATURES]
        ever = [one.any("time").values if "time" in one.dims else one.values for one in ever]
        return known & np.logical_and.reduce(ever)
    length = sampler.length or len(known)
    result = np.zeros_like(known)
    for first in starts(len(known), length, sampler.overlap):
        window = slice(first, first + length)
        result[window] |= known[window].all(axis=0)
    return result


@every_sampler
@given(
    shape=st.tuples(st.integers(4, 9), st.integers(1, 9), st.integers(1, 9)),
    gaps=st.sampled_from([0.0, 0.02, 0.2]),
    seed=st.integers(0, 99),
)
@settings(max_examples=10, deadline=None)
def test_what_is_taken_is_put_back_to_the_bit(
    cubes: Cubes, sampler: Sampler, shape: tuple[int, int, int], gaps: float, seed: int
) -> None:
    cube = cubes(*shape, gaps=gaps, seed=seed, spells=2)
    places = expected(sampler, cube)
    if not places.any():
        with pytest.raises(CubeProblem, match="found no complete sample"):
            sampler.take(cube)
        return
    samples = sampler.take(cube)
    features = sampler.put(samples.X, samples)
    assert isinstance(features, list)
    for name, field in zip(FEATURES, features, strict=False):
        values = cube[name].broadcast_like(cube[TARGET]).values
        np.testing.assert_array_equal(field.values, np.where(places, values, np.nan))
    if sampler.with_position:
        for degrees, field in zip(lonlat(grid_of(cube)), features[-2:], strict=True):
            wanted = np.where(places, degrees.astype("f4"), np.nan)
            np.testing.assert_array_equal(field.values, wanted)

    if isinstance(sampler, Rows) and not (places & cube[TARGET].notnull().values).any():
        return
    samples = sampler.take(cube, TARGET)
    field = sampler.put(samples.y, samples)
    assert isinstance(field, xr.DataArray)
    assert field.dims == ("time", "y", "x")
    assert field.dtype == np.float64
    assert grid_of(field) == grid_of(cube)
    np.testing.assert_array_equal(field["time"], cube["time"])
    np.testing.assert_array_equal(field.values, np.where(places, cube[TARGET].values, np.nan))


@every_sampler
def test_a_model_can_take_the_samples(cubes: Cubes, sampler: Sampler) -> None:
    cube = cubes(7, 6, 8, gaps=0.02)
    samples = sampler.take(cube, TARGET)
    assert samples.X.shape[-1] == len(samples.feature_names) == len(sampler.feature_names)
    table = check_table(samples.X, kind=sampler.kind)  # type: ignore[arg-type]
    assert table is samples.X  # in the right precision and order already
    assert samples.y is not None
    check_target(samples.y, table, kind=sampler.kind)  # type: ignore[arg-type]
    assert samples.index.shape == samples.X.shape[:-1]


@every_sampler
@pytest.mark.parametrize("places", [1, 20, 150])
def test_batches_together_are_the_whole(cubes: Cubes, sampler: Sampler, places: int) -> None:
    cube = cubes(7, 7, 8, gaps=0.02)
    whole = sampler.take(cube, TARGET)
    batches = list(sampler.batches(cube, TARGET, places=places))
    field = assemble((batch.y, batch) for batch in batches)
    xr.testing.assert_identical(field, sampler.put(whole.y, whole))
    assert sum(map(len, batches)) == len(whole)
    least = 8  # a row of the map
    if isinstance(sampler, Patches):  # a row of tiles
        least = whole.index[0].size * len(starts(8, sampler.size or 8, sampler.overlap))
    if isinstance(sampler, Sequences):  # the windows of a cell
        least = whole.index[0].size * len(starts(7, sampler.length or 7, sampler.overlap))
    assert max(batch.index.size for batch in batches) <= max(places, least)
    if places < 150:
        assert len(batches) > 1


@every_sampler
def test_a_lazy_cube_gives_the_same_whatever_its_chunks(
    cubes: Cubes, sampler: Sampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = cubes(7, 7, 8, gaps=0.02)
    whole = sampler.take(cube, TARGET)
    monkeypatch.setattr("vadose.samples.source.READ_AT_ONCE", 400)
    lazy = open_cube(write_cube(cube.chunk(time=3, y=4, x=5), tmp_path / "cube.zarr"))
    assert lazy["ndvi"].chunks is not None
    where = lazy["ndvi"].notnull()  # lazy too
    batches = list(sampler.batches(lazy, TARGET, where=where, places=60))
    field = assemble((batch.y, batch) for batch in batches)
    np.testing.assert_array_equal(field, sampler.put(whole.y, whole))


@every_sampler
def test_groups_and_weights_come_from_the_same_places(cubes: Cubes, sampler: Sampler) -> None:
    cube = cubes(7, 6, 8, gaps=0.02)
    day = xr.DataArray(np.arange(7), dims="time", coords={"time": cube["time"]})
    area = xr.DataArray(np.arange(1.0, 49.0).reshape(6, 8).T, dims=("x", "y"))  # in any order
    samples = sampler.take(cube, groups=day, weight=area)
    assert samples.groups is not None
    assert samples.weight is not None
    assert samples.groups.dtype == np.int64
    put = samples.index >= 0
    step, row, column = np.unravel_index(samples.index[put], (7, 6, 8))
    np.testing.assert_array_equal(samples.groups[put], step)
    np.testing.assert_array_equal(samples.weight[put], row * 8 + column + 1.0)
    assert np.isfinite(samples.weight).all()
    assert (samples.groups >= -1).all()


@every_sampler
def test_several_targets_are_several_outputs(cubes: Cubes, sampler: Sampler) -> None:
    cube = cubes(7, 6, 8, gaps=0.02)
    names = [TARGET, "root_zone_soil_moisture"]
    samples = sampler.take(cube, names)
    assert samples.y is not None
    assert samples.y.shape == (*samples.index.shape, 2)
    fields = sampler.put(samples.y, samples)
    assert isinstance(fields, list)
    assert [field.name for field in fields] == names
    places = expected(sampler, cube)
    if isinstance(sampler, Rows):  # a table that is learned from has no gap in either
        places &= cube[names].to_dataarray().notnull().all("variable").values
    for field in fields:
        wanted = np.where(places, cube[field.name].values, np.nan)
        np.testing.assert_array_equal(field.values, wanted)


@every_sampler
def test_only_chosen_places_are_learned_and_put_back(cubes: Cubes, sampler: Sampler) -> None:
    cube = cubes(7, 6, 8, gaps=0.02)
    west = xr.DataArray(np.arange(8) < 3, dims="x", coords={"x": cube["x"]})
    cube[TARGET] = cube[TARGET].copy(data=np.broadcast_to(np.arange(8.0, dtype="f4"), (7, 6, 8)))
    samples = sampler.take(cube, TARGET, where=west)
    field = sampler.put(samples.y, samples)
    assert isinstance(field, xr.DataArray)
    places = expected(sampler, cube) & west.values
    np.testing.assert_array_equal(field.values, np.where(places, cube[TARGET].values, np.nan))
    assert samples.y is not None
    assert set(np.unique(samples.y[np.isfinite(samples.y)])) == {0.0, 1.0, 2.0}
    is_known = np.isfinite(samples.y.reshape(len(samples), -1))
    assert is_known.any(axis=1).all()  # no sample in vain


@every_sampler
def test_a_map_without_time_is_one_step(cubes: Cubes, sampler: Sampler) -> None:
    if isinstance(sampler, Sequences) and (sampler.length or 1) > 1:
        with pytest.raises(CubeProblem, match="found 1 steps, expected 4 or more, the length"):
            sampler.take(cubes(1, 6, 8, gaps=0.02).isel(time=0, drop=True))
        return
    cube = cubes(1, 6, 8, gaps=0.02).isel(time=0, drop=True)
    samples = sampler.take(cube, TARGET)
    field = sampler.put(samples.y, samples)
    assert isinstance(field, xr.DataArray)
    assert field.dims == ("y", "x")
    known = cube[FEATURES].to_dataarray().notnull().all("variable")
    np.testing.assert_array_equal(field.values, cube[TARGET].where(known).values)


@every_sampler
def test_what_lacks_is_named(cubes: Cubes, sampler: Sampler) -> None:
    cube = cubes(5, 6, 8, gaps=0.02)
    with pytest.raises(CubeProblem, match=r"expected also albedo\."):
        sampler.take(cube.drop_vars("albedo"))
    with pytest.raises(CubeProblem, match=r"expected also elevation\."):
        sampler.batches(cube, "elevation")
    cube["sand"][:] = np.nan
    message = rf"no complete sample \({sampler.kind}\); number of values: ndvi \d+, sand 0, albedo"
    with pytest.raises(CubeProblem, match=message):
        sampler.take(cube)
    with pytest.raises(CubeProblem, match=message):
        list(sampler.batches(cube, places=30))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"where": xr.DataArray(np.ones(3, bool), dims="time")},
            r"where: found sizes \{'time': 3\}",
        ),
        ({"where": xr.DataArray(np.ones(5), dims="time")}, "where: found type float64"),
        ({"groups": xr.DataArray(np.ones(5), dims="time")}, "groups: found type float64"),
        ({"weight": xr.DataArray(np.ones(5), dims="layer")}, r"weight: found dimensions \('layer'"),
        (
            {"weight": xr.DataArray(np.ones(8), dims="x", coords={"x": np.arange(8) + 7.0})},
            "weight: found another coordinate x",
        ),
    ],
)
def test_arrays_that_lie_elsewhere_are_refused(
    cubes: Cubes, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(CubeProblem, match=message):
        Rows(FEATURES).take(cubes(5, 6, 8, gaps=0.0), **settings)


def test_infinite_values_are_no_gaps(cubes: Cubes) -> None:
    cube = cubes(5, 6, 8, gaps=0.0)
    cube["ndvi"][2, 3, 4] = -np.inf
    with pytest.raises(ValueProblem, match="ndvi: found 1 infinite values, expected numbers"):
        Rows(FEATURES).take(cube)


def test_a_code_for_no_class_is_a_gap(cubes: Cubes) -> None:
    cube = cubes(5, 6, 8, gaps=0.0)
    code = np.full((6, 8), 7, dtype=np.uint8)
    code[2, 3] = 255
    cube["land_cover"] = (("y", "x"), code, {"units": "1"})
    samples = Rows(["land_cover"]).take(cube)
    assert len(samples) == 5 * (6 * 8 - 1)
    assert (samples.X[:, 0] == 7.0).all()


def test_members_and_names_that_cannot_be_are_refused(cubes: Cubes) -> None:
    cube = cubes(5, 6, 8, gaps=0.0)
    with pytest.raises(CubeProblem, match=r"found 2 members.*isel\(member=0"):
        Rows(["ndvi"]).take(xr.concat([cube, cube], "member"))
    with pytest.raises(ValueProblem, match=r"longitude twice.*with_position=False"):
        Rows(["ndvi", "longitude"])
    for features in ([], "ndvi"):
        with pytest.raises(ValueProblem, match="expected a list of names, each of them once"):
            Rows(features)
    with pytest.raises(ValueProblem, match="places: found 0, expected 1 or more"):
        Rows(["ndvi"]).batches(cube, places=0)


def test_values_must_suit_the_canvas(cubes: Cubes) -> None:
    cube = cubes(5, 6, 8, gaps=0.0)
    samples = Rows(FEATURES).take(cube)
    other = Rows(FEATURES).take(cube.isel(time=slice(1, 5)))
    with pytest.raises(CubeProblem, match=r"found shape \(3,\), expected \(240,\), one per place"):
        Rows(FEATURES).put(np.ones(3), samples)
    canvas = Canvas()
    with pytest.raises(CubeProblem, match="canvas: found no values"):
        canvas.fields()
    canvas.add(np.ones(len(samples)), samples)
    with pytest.raises(CubeProblem, match="samples of another cube"):
        canvas.add(np.ones(len(other)), other)
    with pytest.raises(CubeProblem, match="another number of outputs"):
        canvas.add(np.ones((len(samples), 2)), samples)
    canvas = Canvas()
    canvas.add(np.ones((len(samples), 2)), samples)
    with pytest.raises(CubeProblem, match=r"found 2 outputs\. Use fields"):
        canvas.field()
