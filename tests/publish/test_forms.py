"""Every form gives back the product: values, places, gaps and days, to whoever opens it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.grids import grid_of
from vadose.schema import variable
from vadose.store import open_cube

LAYERS = ["soil_moisture", "soil_moisture_lower", "soil_moisture_upper"]


def same(found, cube):
    for name in cube.data_vars:
        values = found[name].transpose("time", "y", "x").values
        np.testing.assert_array_equal(values, cube[name].values, err_msg=name)
    np.testing.assert_array_equal(found["time"].values.astype("M8[ns]"), cube["time"].values)


def test_netcdf_by_month_is_the_product(exported) -> None:
    names = ["product_2019-04.nc", "product_2019-05.nc"]
    assert sorted(path.name for path in exported.folder.glob("*.nc")) == names
    paths = [exported.folder / name for name in names]
    parts = [xr.open_dataset(path, engine="h5netcdf", decode_coords="all") for path in paths]
    whole = xr.concat([part[list(exported.cube.data_vars)] for part in parts], "time", join="exact")
    same(whole, exported.cube)
    np.testing.assert_allclose(whole["y"], exported.cube["y"], rtol=0, atol=0)
    bounds = parts[0]["time_bounds"].values
    np.testing.assert_array_equal(bounds[:, 0], exported.cube["time"].values[:2])
    assert (bounds[:, 1] - bounds[:, 0] == np.timedelta64(1, "D")).all()
    for part in parts:
        part.close()


def test_netcdf_says_what_belongs_together(exported) -> None:
    path = exported.folder / "product_2019-05.nc"
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as raw:
        layer = raw["soil_moisture"].attrs
        beside = layer["ancillary_variables"].split()
        assert beside == [*LAYERS[1:], "origin", "flags", "closure_residual"]
        assert set(beside) <= set(raw.variables)
        assert layer["grid_mapping"] == "spatial_ref"
        assert "depth" in layer["coordinates"].split()
        assert float(raw["depth"]) == 0.025
        assert raw["origin"].attrs["flag_meanings"].split()[2] == "downscaled"
        assert raw.attrs["Conventions"] == "CF-1.11, ACDD-1.3"
        assert raw.attrs["time_coverage_start"] == "2019-05-01T00:00:00Z"
        assert raw.attrs["license"] == "free with attribution; not stated"
        assert raw.attrs["creator_url"] == "not stated"
        assert "standard_name" not in raw["closure_residual"].attrs


def test_netcdf_lies_where_the_product_does_to_gdal(exported) -> None:
    with rasterio.open(f'netcdf:"{exported.folder}/product_2019-04.nc":soil_moisture') as file:
        assert file.crs == rasterio.crs.CRS.from_user_input(str(exported.grid.crs))
        assert file.transform.almost_equals(exported.grid.affine, 1e-6)
        assert file.count == 2


def test_longitudes_and_latitudes_stand_on_projected_grids(exported) -> None:
    import pyproj

    with xr.open_dataset(exported.folder / "product_2019-04.nc", engine="h5netcdf") as opened:
        if exported.grid.crs.geographic:
            assert "lat" not in opened.variables
            return
        there = pyproj.Transformer.from_crs("EPSG:6933", "EPSG:4326", always_xy=True)
        longitude, latitude = there.transform(float(opened["x"][3]), float(opened["y"][5]))
        assert float(opened["lon"][3]) == pytest.approx(longitude, abs=1e-9)
        assert float(opened["lat"][5]) == pytest.approx(latitude, abs=1e-9)


def test_zarr_is_the_product_to_xarray_and_vadose(exported) -> None:
    path = exported.folder / "product.zarr"
    with xr.open_zarr(path, consolidated=False) as opened:
        same(opened, exported.cube)
        assert opened["spatial_ref"].attrs["GeoTransform"]
    assert grid_of(open_cube(path)) == exported.grid
    said = json.loads((path / "zarr.json").read_text())["attributes"]
    assert said["spatial:bbox"] == pytest.approx(list(exported.grid.extent.boundingbox))
    assert said["proj:code"] == f"EPSG:{exported.grid.crs.epsg}"
    metadata = json.loads((path / "soil_moisture/zarr.json").read_text())
    assert metadata["dimension_names"] == ["time", "y", "x"]
    assert "sharding_indexed" not in json.dumps(metadata)


def test_zarr_is_the_product_to_gdal(exported) -> None:
    with rasterio.open(f'ZARR:"{exported.folder}/product_gdal.zarr":/soil_moisture') as file:
        assert file.crs == rasterio.crs.CRS.from_user_input(str(exported.grid.crs))
        assert file.transform.almost_equals(exported.grid.affine, 1e-9)
        codes = file.read()
        nodata, scale, offset = file.nodata, file.scales[0], file.offsets[0]
    is_gap = np.isnan(codes) if np.isnan(nodata) else codes == nodata
    values = exported.cube["soil_moisture"].values
    np.testing.assert_array_equal(is_gap, np.isnan(values))
    np.testing.assert_allclose((codes * scale + offset)[~is_gap], values[~is_gap], rtol=1e-6)


def test_maps_of_days_are_the_product(exported) -> None:
    for place, time in enumerate(exported.cube["time"].values):
        day = str(time)[:10]
        for name in [*LAYERS, "origin"]:
            path = exported.folder / f"days/{day}/product_{day}_{name}.tif"
            with rasterio.open(path) as file:
                assert file.crs == rasterio.crs.CRS.from_user_input(str(exported.grid.crs))
                assert file.transform.almost_equals(exported.grid.affine, 1e-9)
                assert file.descriptions == (name,)
                assert file.tags()["TIFFTAG_DATETIME"] == f"{day.replace('-', ':')} 00:00:00"
                codes, mask = file.read(1), file.read_masks(1)
                found = codes * file.scales[0] + file.offsets[0]
            values = exported.cube[name].values[place]
            np.testing.assert_array_equal(mask == 0, np.isnan(values))
            np.testing.assert_allclose(found[mask > 0], values[mask > 0], rtol=1e-6)


def test_overviews_are_made_of_large_maps_and_gaps_stay_out_of_their_means(
    tmp_path, publication
) -> None:
    from vadose.grids import coordinates, latlon
    from vadose.publish import write_days
    from vadose.store import open_windows, write_cube

    grid = latlon(0.1, (0.0, 0.0, 70.0, 60.0))
    values = np.full((1, 600, 700), 0.25, "f4")
    values[0, :, ::3] = np.nan
    cube = xr.Dataset(
        {"soil_moisture": (("time", "y", "x"), values, {"units": "m3 m-3"})},
        coords={"time": pd.date_range("2019-04-01", periods=1), **coordinates(grid)},
    )
    write_cube(cube, tmp_path / "large.zarr", packed=True)
    windows = open_windows(tmp_path / "large.zarr")
    assert write_days(windows, tmp_path, "large", publication, lambda *_: None) == 1
    path = tmp_path / "days/2019-04-01/large_2019-04-01_soil_moisture.tif"
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2]
        assert file.dtypes == ("int16",)
        scale, offset = file.scales[0], file.offsets[0]
    with rasterio.open(path, overview_level=0) as small:
        codes = small.read(1, masked=True) * scale + offset
        np.testing.assert_allclose(codes.compressed(), 0.25, atol=2**-15)


def test_stac_items_lead_to_their_maps(exported) -> None:
    import pystac

    collection = pystac.Collection.from_file(str(exported.folder / "collection.json"))
    items = list(collection.get_items())
    assert [str(item.datetime)[:10] for item in items] == [
        str(day)[:10] for day in exported.cube["time"].values
    ]
    for item in items:
        assert set(item.assets) == {*LAYERS, "origin"}
        with rasterio.open(item.assets["soil_moisture"].get_absolute_href()) as file:
            assert list(file.transform)[:6] == pytest.approx(item.properties["proj:transform"])
            assert list(file.shape) == item.properties["proj:shape"]
        assert item.get_root().id == collection.id
    assert not any("://" in link.href for item in items for link in item.links)
    assert collection.extra_fields["cube:dimensions"]["time"]["extent"][1] == "2019-05-02T00:00:00Z"
    assert set(collection.assets) == {
        "product_2019-04.nc",
        "product_2019-05.nc",
        "product.zarr",
        "product_gdal.zarr",
    }


UTM = GeoBox((30, 25), Affine(1000, 0, 5e5, 0, -1000, 4.6e6), "EPSG:32633")
#: Products that differ in shape or place, and the folder of their first day.
KINDS = {
    # in UTM longitude depends on the row too, so that longitudes and latitudes are maps
    "static": (UTM, "static"),
    "members": (UTM, "2019-04-29"),
    "instants": (UTM, "2019-04-29T0130"),
    "root zone": (UTM, "2019-04-29"),
    "Fiji": (
        GeoBox((20, 30), Affine(0.25, 0, 177, 0, -0.25, -15), "EPSG:4326"),
        "2019-04-29",
    ),
    "UTM over 180": (
        GeoBox((30, 90), Affine(1000, 0, 6e5, 0, -1000, 7.6e6), "EPSG:32660"),
        "2019-04-29",
    ),
    "Antarctic": (
        GeoBox((30, 30), Affine(25000, 0, -375000, 0, -25000, 375000), "EPSG:6932"),
        "2019-04-29",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_other_products_pass_all_checks(kind, makers, tmp_path, publication) -> None:
    from vadose.publish import check_export

    make_product, export = makers
    grid, first = KINDS[kind]
    cube = make_product(grid)
    if kind == "static":
        cube = cube.isel(time=0, drop=True)
        del cube["soil_moisture"].attrs["cell_methods"]
    elif kind == "members":
        name = "soil_moisture_members"
        cube[name] = xr.concat([cube["soil_moisture"]] * 2, pd.Index([0, 1], name="member"))
        cube[name].attrs = {"units": "m3 m-3", "long_name": "members of an ensemble"}
    elif kind == "instants":
        cube = cube.assign_coords(time=cube["time"] + np.timedelta64(90, "m"))
        cube["soil_moisture"].attrs["cell_methods"] = "time: point"
    elif kind == "root zone":
        cube = with_root_zone(cube)
    made = export(cube, tmp_path, publication, packed=True)
    assert [one for one in check_export(made.folder) if not one.passed] == []
    maps = sorted(path.parent.name for path in made.folder.glob("days/*/*_soil_moisture.tif"))
    assert maps[0] == first


def with_root_zone(cube):
    """Put a second layer beside the first."""
    for name in ("root_zone_soil_moisture", "root_zone_soil_moisture_upper"):
        cube[name] = cube["soil_moisture"] * np.float32(0.5)
        cube[name].attrs = variable(name).attributes() | {"depth_from": 0.0, "depth_to": 1.0}
    return cube


def test_each_layer_of_soil_has_its_own_depth(makers, tmp_path, publication) -> None:
    make_product, export = makers
    made = export(with_root_zone(make_product(UTM)), tmp_path, publication, packed=True)
    path = made.folder / "product_2019-04.nc"
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as raw:
        layers = [name for name in made.cube.data_vars if "soil_moisture" in name]
        own = {name: raw[name].attrs["coordinates"].split()[0] for name in layers}
        assert own["soil_moisture_upper"] == "depth"
        assert own["root_zone_soil_moisture_upper"] == "depth_of_root_zone_soil_moisture"
        assert (float(raw["depth"]), float(raw[own["root_zone_soil_moisture"]])) == (0.025, 0.5)
        assert raw.attrs["geospatial_vertical_min"] == 0.025
        assert raw.attrs["geospatial_vertical_max"] == 0.5
    item = json.loads(next(made.folder.glob("days/2019-04-29/*.json")).read_text())
    said = {name: one.get("description") for name, one in item["assets"].items()}
    assert said["root_zone_soil_moisture_upper"] == "from 0 to 1 m below the surface"
    assert said["soil_moisture"] == "from 0 to 0.05 m below the surface"
    assert said["origin"] is None


def test_axes_are_told_though_the_cube_says_nothing(makers, tmp_path, publication) -> None:
    from vadose.publish import write_cf_months

    make_product, _ = makers
    cube = make_product(UTM).isel(time=slice(1))
    for dim in ("y", "x"):
        cube[dim].attrs = {}
    (path,) = write_cf_months(cube, tmp_path, "product", publication)
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as raw:
        assert raw["y"].attrs["standard_name"] == "projection_y_coordinate"
        assert (raw["x"].attrs["axis"], raw["x"].attrs["units"]) == ("X", "m")
