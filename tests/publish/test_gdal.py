"""GDAL's own commands find every form where the product lies, with its values, gaps, units and days."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pyproj
import pytest
import rasterio

pytestmark = pytest.mark.skipif(
    shutil.which("gdalinfo") is None,
    reason="no gdalinfo on PATH (Debian: gdal-bin); rasterio's GDAL stands for it in other tests",
)
FORMS = ["GeoTIFF", "netCDF", "Zarr"]
#: The second day of the first month.
PLACE, DAY = 1, "2019-04-30"
#: A gap, corners, and cells that lie otherwise if rows or columns are turned.
CELLS = [(0, 0), (0, 29), (19, 0), (19, 29), (5, 20), (14, 7)]


def run(*words: str, given: str | None = None) -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def source(exported, form: str, variable: str = "soil_moisture") -> tuple[str, int]:
    """Name the day's map of a variable to GDAL, and its band."""
    names = {
        "GeoTIFF": (f"{exported.folder}/days/{DAY}/product_{DAY}_{variable}.tif", 1),
        "netCDF": (f'NETCDF:"{exported.folder}/product_2019-04.nc":{variable}', PLACE + 1),
        "Zarr": (f'ZARR:"{exported.folder}/product_gdal.zarr":/{variable}:{PLACE}', 1),
    }
    return names[form]


def told(exported, form: str, variable: str = "soil_moisture"):
    name, band = source(exported, form, variable)
    content = json.loads(run("gdalinfo", "-json", name))
    return content, content["bands"][band - 1]


@pytest.mark.parametrize("form", FORMS)
def test_gdalinfo_says_where_and_what(exported, form) -> None:
    content, band = told(exported, form)
    assert content["size"] == [exported.grid.shape.x, exported.grid.shape.y]
    assert content["geoTransform"] == pytest.approx(exported.grid.affine.to_gdal(), rel=1e-12)
    crs = pyproj.CRS(content["coordinateSystem"]["wkt"])
    assert crs.to_epsg() == exported.grid.crs.epsg
    is_degrees = exported.grid.crs.geographic
    axes = [2, 1] if is_degrees else [1, 2]
    if form != "Zarr":  # GDAL 3.6 counts wrongly in stores of three dimensions, also in its own
        assert content["coordinateSystem"]["dataAxisToSRSAxisMapping"] == axes
    assert band["unit"] == "m3 m-3"
    is_packed = band["type"] == "Int16"
    assert is_packed == is_degrees
    assert float(band["noDataValue"]) == -32768 if is_packed else band["noDataValue"] == "NaN"
    assert (band.get("scale", 1), band.get("offset", 0)) == (
        (2.0**-15, 0.5) if is_packed else (1, 0)
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("variable", ["soil_moisture", "origin"])
def test_gdallocationinfo_gives_the_values_of_places(exported, form, variable) -> None:
    name, band = source(exported, form, variable)
    _, meaning = told(exported, form, variable)
    # off the middle of a cell: a shift by half a cell would fall into the next
    places = [exported.grid.affine * (column + 0.6, row + 0.6) for row, column in CELLS]
    if form != "Zarr":
        there = pyproj.Transformer.from_crs(str(exported.grid.crs), "EPSG:4326", always_xy=True)
        places = [there.transform(*place) for place in places]
    system = "-geoloc" if form == "Zarr" else "-wgs84"
    lines = "".join("{!r} {!r}\n".format(*place) for place in places)
    answer = run("gdallocationinfo", "-valonly", system, "-b", str(band), name, given=lines)
    codes = np.array([float(line) for line in answer.split()])
    found = codes * meaning.get("scale", 1) + meaning.get("offset", 0)
    nodata = float(meaning.get("noDataValue", "inf"))
    found[codes == nodata] = np.nan
    layer = exported.cube[variable].values[PLACE]
    np.testing.assert_array_equal(found, [layer[row, column] for row, column in CELLS])


@pytest.mark.parametrize("form", FORMS)
def test_gdal_translate_keeps_all_values_and_gaps(exported, form, tmp_path) -> None:
    name, band = source(exported, form)
    out = tmp_path / "plain.tif"
    run("gdal_translate", "-q", "-unscale", "-ot", "Float32", "-b", str(band), name, str(out))
    with rasterio.open(out) as file:
        codes, values = file.read(1), exported.cube["soil_moisture"].values[PLACE]
        mask = file.read_masks(1) == 0
        np.testing.assert_array_equal(mask, np.isnan(values))
        np.testing.assert_array_equal(codes[~mask], values[~mask])
        assert file.transform.almost_equals(exported.grid.affine, 1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_gdalwarp_puts_cells_in_their_place(exported, form, tmp_path) -> None:
    name, band = source(exported, form)
    if band > 1:
        one = str(tmp_path / "one.vrt")
        run("gdal_translate", "-q", "-of", "VRT", "-b", str(band), name, one)
        name = one
    out = tmp_path / "warped.tif"
    run("gdalwarp", "-q", "-t_srs", "EPSG:3857", "-tr", "2000", "2000", name, str(out))
    there = pyproj.Transformer.from_crs(str(exported.grid.crs), "EPSG:3857", always_xy=True)
    values = exported.cube["soil_moisture"].values[PLACE]
    with rasterio.open(out) as file:
        assert file.crs.to_epsg() == 3857
        for row, column in CELLS[1:]:
            place = there.transform(*(exported.grid.affine * (column + 0.5, row + 0.5)))
            code = next(file.sample([place]))[0]
            assert code * file.scales[0] + file.offsets[0] == values[row, column]


def test_the_day_of_a_band(exported) -> None:
    tags = told(exported, "GeoTIFF")[0]["metadata"][""]
    assert tags["time"] == f"{DAY}T00:00:00Z"
    content, band = told(exported, "netCDF")
    days = (np.datetime64(DAY) - np.datetime64("1970-01-01")).astype(int)
    assert band["metadata"][""]["NETCDF_DIM_time"] == str(days)
    assert content["metadata"][""]["time#units"] == "days since 1970-01-01"
    store = json.loads(run("gdalmdiminfo", "-detailed", f"{exported.folder}/product_gdal.zarr"))
    time = store["arrays"]["time"]
    assert time["unit"] == "days since 1970-01-01"
    assert time["values"][PLACE] == days


def test_all_variables_are_named_in_the_container(exported) -> None:
    for name in (f"{exported.folder}/product_2019-04.nc", f"{exported.folder}/product_gdal.zarr"):
        listed = json.loads(run("gdalinfo", "-json", name))["metadata"]["SUBDATASETS"]
        named = {text.rsplit(":", 1)[1].strip("/") for text in listed.values() if '":' in text}
        assert set(map(str, exported.cube.data_vars)) <= named
