"""Tables of points: two real cases, and files written here for every setting and fault."""

from __future__ import annotations

import gzip
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadose.errors import (
    FileProblem,
    GridProblem,
    NoOverlap,
    RecipeProblem,
    UnitProblem,
    UnknownName,
)
from vadose.grids import crop, grid_of, latlon, lonlat, named_grid, nesting
from vadose.products.description import Layer
from vadose.products.points import CellArray, PointDescription, describe_points, point_product
from vadose.products.tables import check_gzip
from vadose.schema import check_values

DATA = Path(__file__).parents[2].parent / "shared" / "data"
native = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real files in {DATA}")

BOX = (10.0, 45.0, 12.0, 46.0)
GRID = latlon(0.25, BOX)
OURS = PointDescription(
    name="OURS", title="our survey", layers={"soil_moisture": Layer("sm", units="m3 m-3")}
)
DAILY = replace(
    OURS, grid="latlon_0.25", region=BOX, time="name", time_pattern=r"(\d{8})", pattern="*"
)


def table_of(grid: Any = GRID) -> pd.DataFrame:
    longitude, latitude = lonlat(grid)
    values = np.linspace(0.1, 0.4, longitude.size)
    return pd.DataFrame({"lon": longitude.ravel(), "lat": latitude.ravel(), "sm": values})


def written(folder: Path, frame: pd.DataFrame, name: str = "points.csv", **kwargs: Any) -> Path:
    frame.to_csv(folder / name, index=False, **kwargs)
    return folder / name


def fault_of(path: Path, description: PointDescription, kind: type[Exception] = FileProblem) -> str:
    with pytest.raises(kind) as caught:
        point_product(description).open(path)
    return str(caught.value)


# --- real tables


@native
def test_delaware_terrain_lies_on_the_box_and_nests_in_a_quarter_degree() -> None:
    path = DATA / "delaware" / "covariates_1km" / "DE_covs_1km.csv.gz"
    described = PointDescription(
        name="DELAWARE",
        title="terrain of Delaware, 1 km",
        layers={
            "elevation": Layer("land", units="m"),
            "slope": Layer("slope", units="radian"),
            "own_wetness": Layer("wetness", units="1"),
        },
    )
    cube = point_product(described).open(path).load()
    box = (-76.5, 37.75, -74.5, 40.25)
    assert cube.sizes == {"y": 300, "x": 240}
    assert nesting(latlon(0.25, box), grid_of(cube)) == {"y": 30, "x": 30}
    np.testing.assert_allclose(grid_of(cube).boundingbox.bbox, box, atol=1e-9)
    check_values(cube)
    raw = pd.read_csv(path)
    assert int(cube["elevation"].notnull().sum()) == len(raw) == 46_761
    at = cube.sel(
        x=raw["lon"].to_xarray(), y=raw["lat"].to_xarray(), method="nearest", tolerance=2e-5
    )
    np.testing.assert_array_equal(at["elevation"].values, raw["land"].astype("f4"))
    np.testing.assert_allclose(at["slope"].values, np.degrees(raw["slope"]), rtol=1e-5)
    np.testing.assert_array_equal(at["own_wetness"].values, raw["wetness"].astype("f4"))


@native
def test_yanco_smap_rows_become_cells_and_empty_files_become_gaps() -> None:
    folder = DATA / "yanco" / "smap36_era5_2018-2020" / "SMAP"
    region = (146.0, -35.3, 147.0, -34.3)
    described = PointDescription(
        name="YANCO",
        title="SMAP L3 over Yanco",
        layers={"soil_moisture": Layer("soil_moisture", units="m3 m-3", depth=(0.0, 0.05))},
        pattern="SMAP_*.nc",
        grid="EASE2_36km",
        region=region,
        time="name",
        time_pattern=r"SMAP_(\d{8})_",
        days_per_file=3,
        cell_methods="time: mean",
    )
    cube = point_product(described).open(folder).load()
    assert cube.sizes["time"] == 103
    assert grid_of(cube) == named_grid("EASE2_36km")[crop(named_grid("EASE2_36km"), region)]
    is_empty = cube["soil_moisture"].isnull().all(("y", "x")).values
    assert is_empty.sum() == 5
    assert cube["soil_moisture"].attrs["depth_to"] == 0.05
    check_values(cube)
    longitude, latitude = lonlat(grid_of(cube))
    for place, path in enumerate(sorted(folder.glob("SMAP_*.nc"))[:4]):
        with h5py.File(path) as file:
            columns = [file[name][:] for name in ("longitude", "latitude", "soil_moisture")]
        for row, column in np.ndindex(*longitude.shape):
            is_here = abs(columns[0] - longitude[row, column]) < 0.01
            is_here &= abs(columns[1] - latitude[row, column]) < 0.01
            mine = columns[2][is_here]
            expected = np.mean(mine[~np.isnan(mine)]) if (~np.isnan(mine)).any() else np.nan
            found = cube["soil_moisture"].values[place, row, column]
            np.testing.assert_allclose(found, expected, rtol=1e-5)
    some = point_product(described).open(folder, period=("2018-08-03", "2018-08-08"))
    assert [str(day)[:10] for day in some["time"].values] == ["2018-08-01", "2018-08-08"]


# --- the regular grid


@pytest.mark.parametrize("step", [1 / 120, 0.1, 0.25, 1 / 112, 1.0])
def test_regular_grid_is_found_to_the_bit_through_rounding_and_gaps(
    tmp_path: Path, step: float
) -> None:
    grid = latlon(step, (10.0, 45.0, 10.0 + 40 * step, 45.0 + 30 * step))
    frame = table_of(grid)
    rng = np.random.default_rng(3)
    frame[["lon", "lat"]] += rng.uniform(-1e-5, 1e-5, (len(frame), 2))
    kept = frame.sample(frac=0.4, random_state=3).sort_index()
    cube = point_product(OURS).open(written(tmp_path, kept)).load()
    assert cube.sizes == {"y": 30, "x": 40}
    np.testing.assert_allclose(grid_of(cube).affine[:6], grid.affine[:6], rtol=0, atol=1e-9)
    expected = np.full(1200, np.nan)
    expected[kept.index] = kept["sm"]
    np.testing.assert_allclose(cube["soil_moisture"].values.ravel(), expected, rtol=1e-6)


@given(
    columns=st.sets(st.integers(0, 30), min_size=12),
    rows=st.sets(st.integers(0, 30), min_size=12),
    corner=st.tuples(st.integers(-100, 100), st.integers(-60, 60)),
)
def test_order_of_rows_changes_nothing(
    columns: set[int], rows: set[int], corner: tuple[int, int], tmp_path_factory: Any
) -> None:
    longitude, latitude = np.meshgrid(
        corner[0] + 0.05 + 0.1 * np.arange(31), corner[1] + 0.05 + 0.1 * np.arange(31)
    )
    frame = pd.DataFrame({"lon": longitude.ravel(), "lat": latitude.ravel(), "sm": 0.2})
    folder = tmp_path_factory.mktemp("order")
    product = point_product(OURS)
    one = product.open(written(folder, frame, "one.csv")).load()
    other = product.open(written(folder, frame.sample(frac=1.0, random_state=1), "two.csv")).load()
    assert one.identical(other)
    assert one.sizes == {"y": 31, "x": 31}


def test_region_fixes_the_window_of_a_regular_grid(tmp_path: Path) -> None:
    described = replace(OURS, region=BOX)
    whole = point_product(described).open(written(tmp_path, table_of(), "a.csv"))
    part = point_product(described).open(written(tmp_path, table_of(GRID[1:3, 2:6]), "b.csv"))
    assert grid_of(whole) == grid_of(part) == GRID
    assert int(part["soil_moisture"].notnull().sum()) == 8


def test_longitudes_of_0_to_360_and_files_of_netcdf(tmp_path: Path) -> None:
    frame = table_of(latlon(0.25, (-10.0, 45.0, -9.0, 46.0)))
    with h5py.File(tmp_path / "points.nc", "w") as file:
        file["longitude"] = frame["lon"].to_numpy() + 360
        file["latitude"] = frame["lat"].to_numpy()
        packed = np.round(frame["sm"].to_numpy() * 1000).astype("i2")
        packed[3] = -1
        file["sm"] = packed
        file["sm"].attrs.update(scale_factor=0.001, _FillValue=np.int16(-1), units="m3/m3")
    described = replace(OURS, layers={"soil_moisture": Layer(("SM", "sm"))})
    cube = point_product(described).open(tmp_path / "points.nc").load()
    assert grid_of(cube) == latlon(0.25, (-10.0, 45.0, -9.0, 46.0))
    found = cube["soil_moisture"].values.ravel()
    assert np.isnan(found[3])
    np.testing.assert_allclose(found[4:], frame["sm"][4:], atol=6e-4)


@pytest.mark.parametrize(
    ("shift", "words"),
    [(0.4, "cells from an even grid"), (0.12, None)],
)
def test_points_off_the_grid_are_refused_beyond_a_quarter_cell(
    tmp_path: Path, shift: float, words: str | None
) -> None:
    frame = table_of()
    frame.loc[frame["lat"] == frame["lat"].unique()[1], "lat"] += shift * 0.25
    path = written(tmp_path, frame)
    if words is None:
        assert point_product(OURS).open(path).sizes == {"y": 4, "x": 8}
    else:
        text = fault_of(path, OURS, GridProblem)
        assert words in text
        assert "points.csv: latitude" in text
        assert "Name a grid" in text


def test_stations_and_single_rows_are_no_regular_grid(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"lon": rng.uniform(10, 12, 30), "lat": rng.uniform(45, 46, 30), "sm": 0.2}
    )
    assert "degrees apart" in fault_of(written(tmp_path, frame), OURS, GridProblem)
    row = table_of(GRID[:1, :])
    assert "single row" in fault_of(written(tmp_path, row), OURS, GridProblem)
    three = pd.DataFrame({"lon": [0, 1e-4, 170], "lat": [0, 1e-4, 80], "sm": 0.2})
    assert "one cell apart" in fault_of(written(tmp_path, three), OURS, GridProblem)
    near = np.arange(10) * 1e-3
    apart = pd.DataFrame({"lon": [*near, 170], "lat": [*near, 80], "sm": 0.2})
    assert "80,001 x 170,001 cells" in fault_of(written(tmp_path, apart), OURS, GridProblem)


# --- named grids, cells and time


def test_cell_is_the_mean_of_its_points_with_a_value(tmp_path: Path) -> None:
    lines = ["lon,lat,sm", "10.1,45.9,0.1", "10.2,45.8,0.3", "10.1,45.8,-99", "10.6,45.1,", ",,"]
    path = tmp_path / "sm_20200301.csv"
    path.write_text("\n".join(lines) + "\n")
    described = replace(
        DAILY, layers={"soil_moisture": Layer("sm", units="1", fill_values=(-99.0,))}
    )
    cube = point_product(described).open(path).load()
    values = cube["soil_moisture"].values
    assert values.shape == (1, 4, 8)
    np.testing.assert_allclose(values[0, 0, 0], 0.2, rtol=1e-6)
    assert np.isfinite(values).sum() == 1
    assert cube["soil_moisture"].dtype == np.float32


def test_mean_of_directions_is_one_of_vectors(tmp_path: Path) -> None:
    frame = pd.DataFrame({"lon": [10.1, 10.15], "lat": [45.9, 45.9], "aspect": [350.0, 20.0]})
    described = replace(DAILY, time="static", layers={"aspect": Layer("aspect", units="degree")})
    cube = point_product(described).open(written(tmp_path, frame)).load()
    np.testing.assert_allclose(cube["aspect"].values[0, 0], 5.0, atol=1e-4)


def test_files_of_a_folder_share_a_grid_and_empty_ones_are_gaps(tmp_path: Path) -> None:
    written(tmp_path, table_of(GRID[1:3, 2:6]), "sm_20200301_20200229.csv")
    written(tmp_path, table_of()[:0], "sm_20200302_20200304.csv")
    written(tmp_path, pd.DataFrame(), "sm_20200303.csv")
    with h5py.File(tmp_path / "sm_20200304.nc", "w") as file:
        file["index"] = np.empty(0, "i8")
    written(tmp_path, table_of(), "sm_20200305.csv.gz")
    cube = point_product(DAILY).open(tmp_path).load()
    assert cube["soil_moisture"].notnull().sum(("y", "x")).values.tolist() == [8, 0, 0, 0, 32]
    assert str(cube["time"].values[0])[:10] == "2020-03-01"
    assert grid_of(cube) == GRID


def test_time_in_a_column(tmp_path: Path) -> None:
    frame = pd.concat([table_of(), table_of(GRID[:2, :])], ignore_index=True)
    frame["time"] = ["2020-03-02T06:00"] * 32 + ["2020-03-01"] * 16
    described = replace(OURS, time="column", shift_hours=-6.0)
    cube = point_product(described).open(written(tmp_path, frame)).load()
    assert cube["soil_moisture"].notnull().sum(("y", "x")).values.tolist() == [16, 32]
    assert [str(stamp)[:16] for stamp in cube["time"].values] == [
        "2020-02-29T18:00",
        "2020-03-02T00:00",
    ]
    frame.loc[5, "time"] = "yesterday"
    assert "a time that cannot be read" in fault_of(written(tmp_path, frame), described)
    frame.loc[5, "time"] = None
    assert "none in row 7" in fault_of(written(tmp_path, frame), described)
    assert "without rows" in fault_of(written(tmp_path, frame[:0]), described)
    with h5py.File(tmp_path / "points.nc", "w") as file:
        for name in ("lon", "lat", "sm"):
            file[name] = frame[name].to_numpy()
        file["time"] = np.repeat([1.0, 0.0], [32, 16])
        file["time"].attrs["units"] = "days since 2020-03-01"
    assert point_product(described).open(tmp_path / "points.nc").sizes["time"] == 2


def test_region_of_the_caller_is_cut_out_of_the_grid(tmp_path: Path) -> None:
    whole = point_product(replace(DAILY, region=None))
    cube = whole.open(written(tmp_path, table_of(), "sm_20200301.csv"), region=BOX)
    assert grid_of(cube) == GRID
    assert int(cube["soil_moisture"].notnull().sum()) == 32


def test_cells_are_given_by_place_in_any_order_and_across_processes() -> None:
    array = CellArray((2, 3, 4), np.array([0, 5, 23]), np.array([1.0, 2.0, 3.0]))
    dense = array[()]
    assert np.isfinite(dense).sum() == 3
    assert dense[1, 2, 3] == 3.0
    np.testing.assert_array_equal(array[1, 1:, ::-1], dense[1, 1:, ::-1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array))[:, 1], dense[:, 1])  # noqa: S301
    assert array[0:0].shape == (0, 3, 4)


# --- faults of tables


def test_missing_column_is_named_with_those_found(tmp_path: Path) -> None:
    path = written(tmp_path, table_of().rename(columns={"sm": "theta"}))
    text = fault_of(path, OURS)
    assert "points.csv" in text
    assert "lon, lat, theta" in text
    assert "expected variable sm" in text
    assert "lon;lat;sm" in fault_of(written(tmp_path, table_of(), sep=";"), OURS)
    described = replace(OURS, separator=";")
    assert point_product(described).open(written(tmp_path, table_of(), sep=";")).sizes["x"] == 8


def test_optional_columns_are_left_out_but_not_all(tmp_path: Path) -> None:
    layers = dict(OURS.layers) | {"elevation": Layer("z", units="m", is_optional=True)}
    path = written(tmp_path, table_of())
    assert list(point_product(replace(OURS, layers=layers)).open(path).data_vars) == [
        "soil_moisture"
    ]
    only = {"elevation": layers["elevation"]}
    assert "expected one of z" in fault_of(path, replace(OURS, layers=only))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("10.1,45.1,wet", "found 'wet' in column 'sm', row 3, expected a number"),
        ("10.1,north,0.2", "found 'north' in column 'lat', row 3"),
        ("10,1,45,1,0,2", "no readable table"),
        (",45.1,0.2", "a value without a place on Earth in row 3"),
        ("-9999,-9999,0.2", "a value without a place on Earth in row 3"),
        ("10.1,45.1,inf", "an infinite value in row 3"),
    ],
)
def test_faulty_row_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text(f"lon,lat,sm\n10.1,45.1,0.2\n{line}\n")
    assert words in fault_of(path, OURS)


def test_faulty_files(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("lon,lat,sm,sm\n10.1,45.1,0.2,0.3\n")
    assert "column 'sm' twice" in fault_of(path, OURS)
    path.write_text("lon,lat,sm\n1,2,3,4\n5,6,7,8\n")
    assert "no readable table" in fault_of(path, OURS)
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00\x01" * 20)
    assert "no readable table" in fault_of(path, OURS)
    assert "no unit" in fault_of(
        written(tmp_path, table_of()), replace(OURS, layers={"elevation": Layer("sm")}), UnitProblem
    )
    with h5py.File(tmp_path / "map.nc", "w") as file:
        file["lon"], file["lat"], file["sm"] = np.arange(3.0), np.arange(3.0), np.zeros((3, 3))
    assert "expected one number for each point" in fault_of(tmp_path / "map.nc", OURS)
    with h5py.File(tmp_path / "short.nc", "w") as file:
        file["lon"], file["lat"], file["sm"] = np.arange(3.0), np.arange(3.0), np.zeros(2)
    assert "2 values for 3 places" in fault_of(tmp_path / "short.nc", OURS)
    assert "without rows" in fault_of(written(tmp_path, table_of()[:0]), OURS)
    far = replace(OURS, grid="latlon_0.25", region=(50.0, 0.0, 51.0, 1.0))
    assert "points over 10.125..11.875 E" in fault_of(written(tmp_path, table_of()), far, NoOverlap)


def test_packed_files_that_break_off_or_burst(tmp_path: Path) -> None:
    path = written(tmp_path, table_of(), "points.csv.gz")
    whole = path.read_bytes()
    for part, words in (
        (whole[:-20], "breaks off"),
        (whole[:30] + b"\0\0\0\0" + whole[34:], "damaged"),
    ):
        path.write_bytes(part)
        assert words in fault_of(path, OURS)
    path.write_bytes(gzip.compress(bytes(2**25)))
    assert "that unpack to more than" in fault_of(path, OURS)
    path.write_bytes(gzip.compress(b"0" * 2000))
    with pytest.raises(FileProblem, match="unpack to more than 1,000"):
        check_gzip(path, maximum_bytes=1000)


# --- descriptions


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"time": "variable"}, UnknownName, "column, name, static"),
        ({"time": "name", "time_pattern": ""}, RecipeProblem, "also time_pattern"),
        ({"grid": "EASE2_36"}, UnknownName, "'EASE2_36km'"),
        ({"grid": "irregular"}, UnknownName, "Did you mean 'regular'?"),
        ({"grid": "EASE2_1km", "region": None}, RecipeProblem, "State a region"),
        ({"region": (12.0, 45.0, 10.0, 46.0)}, RecipeProblem, "west, south, east, north"),
        ({"region": (10.0, 45.0, 46.0)}, RecipeProblem, "west, south, east, north"),
        ({"region": (10.0, 45.0, 10.01, 45.01)}, NoOverlap, "without the centre of any cell"),
        ({"layers": {"land_cover": Layer("lc", units="1")}}, RecipeProblem, "that has a mean"),
        ({"layers": {"soil_moisture": Layer(1)}}, RecipeProblem, "name of a column"),
        ({"layers": {"moisture": Layer("sm")}}, UnknownName, "soil_moisture"),
    ],
)
def test_descriptions_that_cannot_be_right(
    change: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words.replace("?", r"\?")):
        point_product(replace(DAILY, **change))


def test_description_from_a_recipe() -> None:
    settings = {
        "name": "OURS",
        "title": "our survey",
        "layers": {"soil_moisture": {"source": {"a": 0.3, "b": 0.7}, "units": "m3 m-3"}},
        "region": [10.0, 45.0, 12.0, 46.0],
    }
    described = describe_points(settings)
    assert described.region == BOX
    product = point_product(settings)
    assert product.variables == {"soil_moisture": "0.3 a + 0.7 b"}
    with pytest.raises(RecipeProblem, match="expected also title"):
        describe_points({"name": "OURS"})
    with pytest.raises(UnknownName, match="Did you mean 'region'"):
        describe_points(settings | {"regin": BOX})


def test_weighted_sum_of_columns(tmp_path: Path) -> None:
    frame = table_of().assign(deep=0.5)
    layers = {"soil_moisture": Layer({"sm": 0.5, "deep": 0.5}, units="m3 m-3")}
    cube = point_product(replace(OURS, layers=layers)).open(written(tmp_path, frame)).load()
    np.testing.assert_allclose(
        cube["soil_moisture"].values.ravel(), frame["sm"] / 2 + 0.25, rtol=1e-6
    )
