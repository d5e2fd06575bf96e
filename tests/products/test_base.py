"""What all products share: finding files, periods, joining in time, and errors that name the file."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from vadose.errors import (
    CubeProblem,
    FileProblem,
    GridProblem,
    NoOverlap,
    RecipeProblem,
    VadoseError,
)
from vadose.grids import coordinates, latlon
from vadose.products.base import (
    Product,
    find_files,
    join_in_time,
    parse_period,
    select_period,
)
from vadose.products.stamps import period_in_name
from vadose.schema import VARIABLES

GRID = latlon(1.0, (10.0, 40.0, 14.0, 43.0))


def cube_of(days: list[str], *, grid=GRID, value: float = 0.2, name: str = "soil_moisture"):
    """Build a cube whose values are `value` plus a thousandth for each step."""
    shape = (len(days), *grid.shape)
    values = np.full(shape, value, "f4") + np.arange(len(days), dtype="f4")[:, None, None] / 1000
    times = np.array(days, "datetime64[ns]")
    return xr.Dataset(
        {name: (("time", "y", "x"), values, VARIABLES[name].attributes())},
        coords={"time": times, **coordinates(grid)},
    )


def write(folder: Path, *names: str, text: str = "some bytes") -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [folder / name for name in names]


def read_one(path: Path) -> xr.Dataset:
    return cube_of([path.stem.split("_")[1]], value=len(path.read_text()) / 100)


PRODUCT = Product(
    name="OURS",
    title="our soil moisture",
    variables={"soil_moisture": "sm"},
    grid="1 degree",
    time_meaning="the day",
    licence="free",
    citation="us",
    read=read_one,
    pattern="sm_*.txt",
    depths={"soil_moisture": (0.0, 0.05)},
    file_period=period_in_name(r"(\d{4}-\d\d-\d\d)", "%Y-%m-%d"),
)


# Finding files -----------------------------------------------------------------------------------


def test_folder_is_searched_at_any_depth_for_the_pattern(tmp_path):
    wanted = write(tmp_path, "2019/sm_2019-01-01.txt", "sm_2020-01-01.txt")
    write(tmp_path, "sm_2020-01-02.nc", "notes.txt")
    (tmp_path / "sm_folder.txt").mkdir()
    assert find_files(tmp_path, "sm_*.txt") == sorted(wanted)


def test_files_globs_and_lists_are_taken_each_once_in_the_order_given(tmp_path):
    one, two, three = write(tmp_path, "b.txt", "a.txt", "deep/c.txt")
    assert find_files(one) == [one]
    assert find_files(str(tmp_path / "*.txt")) == [two, one]
    assert find_files(str(tmp_path / "**" / "*.txt")) == [two, one, three]
    assert find_files([one, two, one, tmp_path], "*.txt") == [one, two, three]


def test_name_with_brackets_that_exists_is_a_file_and_no_glob(tmp_path):
    (path,) = write(tmp_path, "map[1].txt")
    assert find_files(path) == [path]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ("absent.nc", r"absent\.nc: found no such file\. Check the path\."),
        ("*.nc", r"\*\.nc: found nothing, expected files that match\. Check the path\."),
        ("", r"found nothing, expected files named \*\.nc\. Check the path\."),
        ("empty.txt", r"empty\.txt: found an empty file \(0 bytes\)\. Download it again\."),
    ],
)
def test_what_is_not_found_is_said(tmp_path, paths, message):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(FileProblem, match=message):
        find_files(tmp_path / paths, "*.nc")


# Periods -----------------------------------------------------------------------------------------


def test_period_is_two_days_of_iso_8601():
    assert parse_period(("2019-01-01", "2019-01-01")) == (date(2019, 1, 1), date(2019, 1, 1))
    assert parse_period(("2019-01-01T12:00", "2019-02-01")) == (date(2019, 1, 1), date(2019, 2, 1))


@pytest.mark.parametrize(
    ("period", "message"),
    [
        (("2019-13-01", "2019-12-31"), "two days as YYYY-MM-DD"),
        (("yesterday", "today"), "two days as YYYY-MM-DD"),
        (("2019-01-01",), "two days as YYYY-MM-DD"),
        (("2019-01-01", "2019-01-02", "2019-01-03"), "two days as YYYY-MM-DD"),
        (("2020-01-01", "2019-01-01"), "found 2020-01-01 to 2019-01-01, expected first day before"),
    ],
)
def test_other_periods_are_refused(period, message):
    with pytest.raises(RecipeProblem, match=message):
        parse_period(period)


def test_both_ends_of_a_period_belong_to_it():
    cube = cube_of(["2019-01-01", "2019-01-02T23:59", "2019-01-03", "2019-01-04"])
    found = select_period(cube, ("2019-01-02", "2019-01-03"), source="x")
    assert found["time"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2019-01-02",
        "2019-01-03",
    ]


@pytest.mark.parametrize(("days", "steps"), [(1, 0), (16, 1), (17, 2)])
def test_composite_belongs_to_a_period_that_its_interval_touches(days, steps):
    cube = cube_of(["2019-01-01", "2019-01-17"])
    period = ("2019-01-16", "2019-01-16") if days < 17 else ("2019-01-17", "2019-01-17")
    if not steps:
        with pytest.raises(NoOverlap, match="found x from 2019-01-01 to 2019-01-17"):
            select_period(cube, period, source="x", days=days)
    else:
        assert select_period(cube, period, source="x", days=days).sizes["time"] == steps


# Joining -----------------------------------------------------------------------------------------


def test_parts_are_joined_in_order_of_time_whatever_the_order_of_files():
    days = ["2019-01-03", "2019-01-01", "2019-01-02"]
    joined = join_in_time([cube_of([day], value=int(day[-1]) / 10) for day in days], source="x")
    np.testing.assert_allclose(joined["soil_moisture"][:, 0, 0], [0.1, 0.2, 0.3], rtol=1e-6)
    assert joined.attrs["duplicate_times_dropped"] == 0


def test_of_steps_with_one_stamp_the_last_given_stays_and_the_others_are_counted():
    parts = [cube_of(["2019-01-01", "2019-01-02"], value=0.1), cube_of(["2019-01-02"], value=0.4)]
    joined = join_in_time(parts, source="x")
    np.testing.assert_allclose(joined["soil_moisture"][:, 0, 0], [0.1, 0.4], rtol=1e-6)
    assert joined.attrs["duplicate_times_dropped"] == 1
    joined = join_in_time(parts[::-1], source="x")
    np.testing.assert_allclose(joined["soil_moisture"][:, 0, 0], [0.1, 0.101], rtol=1e-6)


def test_files_of_one_variable_each_are_merged_on_the_same_times():
    parts = [cube_of(["2019-01-01"]), cube_of(["2019-01-01"], name="ndvi", value=0.5)]
    assert set(join_in_time(parts, source="x").data_vars) == {"soil_moisture", "ndvi"}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (cube_of(["2019-01-02"], grid=latlon(1.0, (11, 40, 15, 43))), "do not fit together"),
        (cube_of(["2019-01-02"], grid=latlon(1.0, (10, 40, 14, 42))), "do not fit together"),
        (cube_of(["2019-01-02"], name="ndvi"), "do not fit together"),
        (
            cube_of(["2019-01-02"]).assign(ndvi=cube_of(["2019-01-02"], name="ndvi")["ndvi"]),
            "files with and files without ndvi, expected the same variables in all files",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(second, message):
    with pytest.raises(FileProblem, match=f"x: found.*{message}"):
        join_in_time([cube_of(["2019-01-01"]), second], source="x")


# Opening -----------------------------------------------------------------------------------------


def test_files_become_one_cube_that_names_its_product(tmp_path):
    write(tmp_path, "sm_2019-01-02.txt", "sm_2019-01-01.txt")
    cube = PRODUCT.open(tmp_path)
    assert cube["time"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2019-01-01",
        "2019-01-02",
    ]
    expected = {"product": "OURS", "licence": "free", "citation": "us", "number_of_files": 2}
    assert expected.items() <= cube.attrs.items()
    attributes = cube["soil_moisture"].attrs
    assert (attributes["depth_from"], attributes["depth_to"]) == (0.0, 0.05)


def test_files_outside_the_period_are_never_opened(tmp_path):
    write(tmp_path, "sm_2019-01-01.txt", "sm_2019-01-02.txt", "sm_2019-01-03.txt")
    opened = []

    def read(path: Path) -> xr.Dataset:
        opened.append(path.name)
        return read_one(path)

    product = replace(PRODUCT, read=read)
    assert product.open(tmp_path, period=("2019-01-02", "2019-01-02")).sizes["time"] == 1
    assert opened == ["sm_2019-01-02.txt"]
    with pytest.raises(NoOverlap, match="found 3 files of OURS, none of them within it"):
        product.open(tmp_path, period=("2018-01-01", "2018-12-31"))


def test_region_keeps_cells_whose_centre_lies_inside(tmp_path):
    (path,) = write(tmp_path, "sm_2019-01-01.txt")
    cube = PRODUCT.open(path, region=(11.0, 41.0, 13.0, 42.0))
    assert (cube["x"].values.tolist(), cube["y"].values.tolist()) == ([11.5, 12.5], [41.5])
    with pytest.raises(NoOverlap):
        PRODUCT.open(path, region=(50.0, 41.0, 53.0, 42.0))


def raising(error: Exception):
    def read(path: Path) -> xr.Dataset:
        raise error

    return read


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("truncated file: eof = 5\nmore"), r"OSError: truncated file: eof = 5\)"),
        (KeyError("sm"), r"KeyError: 'sm'\)"),
        (MemoryError(), r"MemoryError: no detail\)"),
        (AttributeError("'NoneType' has no x"), r"AttributeError: 'NoneType' has no x\)"),
        (ZeroDivisionError("division by zero"), r"ZeroDivisionError: division by zero\)"),
    ],
)
def test_whatever_a_library_raises_becomes_one_sentence_about_the_file(tmp_path, error, words):
    (path,) = write(tmp_path, "sm_2019-01-01.txt")
    message = (
        rf"sm_2019-01-01\.txt: found a file that cannot be read as OURS \({words}, expected our "
        r"soil moisture\. Download it again, or name the product it belongs to\."
    )
    with pytest.raises(FileProblem, match=message) as caught:
        replace(PRODUCT, read=raising(error)).open(path)
    assert caught.value.__cause__ is error


def test_our_own_errors_and_the_keyboard_pass(tmp_path):
    (path,) = write(tmp_path, "sm_2019-01-01.txt")
    for error in (CubeProblem("a", found="b"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            replace(PRODUCT, read=raising(error)).open(path)
        assert caught.value is error


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("x", [np.nan, np.nan, np.nan, np.nan]),
        ("x", [1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3]),
        ("y", [92.5, 91.5, 90.5]),
        ("y", [np.inf, 1.0, 0.0]),
    ],
)
def test_cells_that_are_nowhere_are_refused(tmp_path, axis, values):
    (path,) = write(tmp_path, "sm_2019-01-01.txt")

    def read(path: Path) -> xr.Dataset:
        cube = read_one(path)
        return cube.assign_coords({axis: (axis, values, cube[axis].attrs)})

    with pytest.raises(GridProblem, match=r"sm_2019-01-01\.txt: found cells from.*places on Earth"):
        replace(PRODUCT, read=read).open(path)


def test_every_error_of_opening_is_one_kind(tmp_path):
    with pytest.raises(VadoseError):
        PRODUCT.open(tmp_path / "absent.txt")
