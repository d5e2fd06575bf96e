"""What every product promises, on every product: a new one adds no test here."""

from __future__ import annotations

import functools
import pickle
import re
import sys
import zlib
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr

from vadose.errors import NoOverlap, VadoseError
from vadose.grids import EASE2_SHAPES, crop, grid_of, lonlat
from vadose.products import FAMILIES, PRODUCTS
from vadose.products.base import Product
from vadose.schema import VARIABLES, check_cube, check_values

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from readers import DATA, native_groups

sys.path.pop(0)

#: Soil variables whose layer no record can give, and why.
WITHOUT_DEPTH = {
    ("GLEAM", "root_zone_soil_moisture"): "depends on the vegetation of the cell",
    ("CGLS_SWI_1KM", "relative_soil_moisture"): "a filter in time, not a depth",
    ("CGLS_SWI_1KM_T40", "relative_soil_moisture"): "a filter in time, not a depth",
    ("SOILGRIDS", "sand"): "in the name of the file",
    ("SOILGRIDS", "silt"): "in the name of the file",
    ("SOILGRIDS", "clay"): "in the name of the file",
}
SOIL = {
    "soil_moisture",
    "root_zone_soil_moisture",
    "relative_soil_moisture",
    "sand",
    "silt",
    "clay",
}
#: One pixel.
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0\x3a\x7e\x9b\x55\0\0\0\x0aIDAT"
    + zlib.compress(b"\0\0")[:10] + b"\0\0\0\0IEND\xaeB`\x82"
)  # fmt: skip
FOREIGN = {
    "text": b"It is a fine day, and this is no data at all.\n" * 9,
    "picture": PNG,
    "login": b"<!DOCTYPE html>\n<html><head><title>Earthdata Login</title></head></html>",
    "zeros": bytes(4096),
    "archive": b"PK\x03\x04" + bytes(60),
    "hdf5 and nothing": b"\x89HDF\r\n\x1a\n" + bytes(200),
    "hdf4 and nothing": b"\x0e\x03\x13\x01" + bytes(200),
    "netcdf and nothing": b"CDF\x01" + bytes(3),
    "tiff and nothing": b"II*\0" + bytes(40),
    "few bytes": b"II",
}
every_product = pytest.mark.parametrize("product", PRODUCTS.values(), ids=list(PRODUCTS))


def native_cases() -> list[object]:
    """Pair each product with each of its groups of native files; say of which there are none."""
    cases = []
    for name in PRODUCTS:
        groups = native_groups(name)
        if not groups:
            skip = pytest.mark.skip(reason=f"no native file of {name} in {DATA}")
            cases.append(pytest.param(name, 0, id=name, marks=skip))
        cases += [pytest.param(name, place, id=f"{name}-{place}") for place in range(len(groups))]
    return cases


native = pytest.mark.parametrize(("name", "place"), native_cases())


@functools.lru_cache(maxsize=2)
def loaded(name: str, place: int) -> xr.Dataset:
    return PRODUCTS[name].open(native_groups(name)[place]).load()


def refuse(*arguments: object, **settings: object) -> None:
    raise AssertionError("something was computed")


# Records -----------------------------------------------------------------------------------------


def test_table_holds_all_products_of_all_families_once() -> None:
    assert len(PRODUCTS) == sum(len(family.PRODUCTS) for family in FAMILIES) >= 40


@every_product
def test_record_says_all_that_a_user_must_know(product: Product) -> None:
    assert PRODUCTS[product.name] is product
    for field in ("title", "grid", "time_meaning", "licence", "citation"):
        text = getattr(product, field)
        assert len(text.strip()) >= 4, field
        assert text == text.strip(), field
    assert len(product.citation) > 20
    assert product.days >= 1


@every_product
def test_variables_are_those_of_the_schema(product: Product) -> None:
    assert product.variables
    assert set(product.variables) <= set(VARIABLES)
    assert all(isinstance(source, str) and source for source in product.variables.values())


@every_product
def test_soil_has_a_depth(product: Product) -> None:
    assert set(product.depths) <= set(product.variables)
    for top, bottom in product.depths.values():
        assert 0 <= top < bottom <= 3
    known = {name for other, name in WITHOUT_DEPTH if other == product.name}
    assert SOIL & set(product.variables) - set(product.depths) == known


@every_product
def test_pattern_is_a_glob_that_does_not_take_everything(product: Product) -> None:
    assert "*" in product.pattern or product.pattern == Path(product.pattern).name
    for name in ("notes.txt", "README.md", "table.csv", ".DS_Store", "a.pdf"):
        assert not Path(name).match(product.pattern)
    groups = native_groups(product.name)
    assert not groups or any(path.match(product.pattern) for group in groups for path in group)


@every_product
def test_named_grids_exist(product: Product) -> None:
    first = re.split(r"[ ,]", product.grid)[0]
    if first.startswith("EASE2"):
        assert first in EASE2_SHAPES
    elif first.startswith("latlon"):
        assert 0 < float(first.partition("_")[2]) <= 1


@every_product
def test_record_can_be_sent_to_another_process(product: Product) -> None:
    assert pickle.loads(pickle.dumps(product)).variables == product.variables  # noqa: S301


# Files that are none -----------------------------------------------------------------------------


@every_product
def test_missing_and_empty_files_and_folders_are_named(product: Product, tmp_path: Path) -> None:
    (tmp_path / "empty.nc").touch()
    (tmp_path / "folder").mkdir()
    for name in ("absent.nc", "empty.nc", "folder", "*.nothing"):
        with pytest.raises(VadoseError, match=re.escape(f"{name}: found")):
            product.open(tmp_path / name)


@every_product
@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_named(product: Product, kind: str, tmp_path: Path) -> None:
    ending = (".nc", ".h5", ".hdf", ".tif", ".nc4")[zlib.crc32(kind.encode()) % 5]
    # names with a date, so that none is refused for that alone
    for name in (f"foreign{ending}", f"A_sand_0-5cm_SM_20190101_GLEAM_.A2019001.{ending}"):
        path = tmp_path / name
        path.write_bytes(FOREIGN[kind])
        with pytest.raises(VadoseError, match=re.escape(name)):
            product.open(path).load()


# Files that are -----------------------------------------------------------------------------------


@native
def test_opening_computes_nothing_and_gives_a_cube(name: str, place: int) -> None:
    product = PRODUCTS[name]
    with dask.config.set(scheduler=refuse):
        cube = product.open(native_groups(name)[place])
    check_cube(cube, source=name)
    assert all(array.chunks is not None for array in cube.data_vars.values())
    assert set(cube.data_vars) <= set(product.variables)
    for attribute in ("product", "title", "licence", "citation"):
        assert cube.attrs[attribute] == (
            name if attribute == "product" else getattr(product, attribute)
        )
    assert cube.attrs["number_of_files"] == len(native_groups(name)[place])
    for variable in SOIL & set(cube.data_vars):
        if (name, variable) not in WITHOUT_DEPTH or name == "SOILGRIDS":
            assert cube[variable].attrs["depth_from"] < cube[variable].attrs["depth_to"]


@native
def test_values_are_in_the_range_of_the_schema(name: str, place: int) -> None:
    cube = loaded(name, place)
    check_values(cube, source=name)
    for variable, array in cube.data_vars.items():
        is_class = VARIABLES[str(variable)].kind != "continuous"
        assert np.issubdtype(array.dtype, np.integer) if is_class else array.dtype == np.float32


@native
def test_opening_twice_gives_the_same_and_so_does_another_process(name: str, place: int) -> None:
    again = PRODUCTS[name].open(native_groups(name)[place])
    dask.base.tokenize(again)
    with dask.config.set(scheduler="synchronous"):
        sent = pickle.loads(pickle.dumps(again)).load()  # noqa: S301
    xr.testing.assert_identical(sent, loaded(name, place))


@native
def test_region_is_cut_as_from_the_whole(name: str, place: int) -> None:
    whole = loaded(name, place)
    longitude, latitude = lonlat(grid_of(whole))
    west, east = np.nanquantile(longitude, (0.3, 0.6))
    south, north = np.nanquantile(latitude, (0.35, 0.7))
    region = (float(west), float(south), float(east), float(north))
    part = PRODUCTS[name].open(native_groups(name)[place], region=region)
    rows, columns = crop(grid_of(whole), region)
    assert 0 < part["y"].size < whole["y"].size
    assert 0 < part["x"].size < whole["x"].size
    xr.testing.assert_identical(part.load(), whole.isel(y=rows, x=columns))
    is_inside = (
        (longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north)
    )
    is_kept = np.zeros(is_inside.shape, bool)
    is_kept[rows, columns] = True
    assert is_kept[is_inside].all()


@native
def test_period_keeps_its_days_and_refuses_others(name: str, place: int) -> None:
    product, files = PRODUCTS[name], native_groups(name)[place]
    whole = loaded(name, place)
    if "time" not in whole.dims:
        xr.testing.assert_identical(
            product.open(files, period=("1900-01-01", "1900-01-02")).load(), whole
        )
        return
    with pytest.raises(NoOverlap, match="period 1900-01-01"):
        product.open(files, period=("1900-01-01", "1900-01-02"))
    days = whole["time"].values.astype("datetime64[D]")
    part = product.open(files, period=(str(days[0]), str(days[0])))
    expected = whole["time"].values[days == days[0]] if product.days == 1 else whole["time"].values
    np.testing.assert_array_equal(part["time"].values, expected)


@native
def test_files_given_twice_count_once(name: str, place: int, tmp_path: Path) -> None:
    product, files = PRODUCTS[name], native_groups(name)[place]
    again = tmp_path / files[0].name
    again.symlink_to(files[0])
    cube = product.open([*files, again])
    whole = loaded(name, place)
    assert cube.attrs["number_of_files"] == len(files) + 1
    assert dict(cube.sizes) == dict(whole.sizes)
    if "time" in whole.dims:
        steps = product.open(files[0]).sizes["time"]
        dropped = whole.attrs["duplicate_times_dropped"]  # files of a folder may overlap
        assert cube.attrs["duplicate_times_dropped"] == dropped + steps
    first = next(iter(cube.data_vars))
    xr.testing.assert_equal(cube[first].load(), whole[first])
