"""A small product on two grids, written in all forms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.grids import coordinates, grid_of, latlon, named_grid
from vadose.publish import (
    About,
    Input,
    Publication,
    write_cf_months,
    write_checksums,
    write_days,
    write_geozarr,
    write_papers,
    write_stac,
)
from vadose.schema import FLAGS, ORIGIN, variable
from vadose.store import open_cube, open_windows, write_cube

DAYS = np.arange("2019-04-29", "2019-05-03", dtype="M8[D]").astype("M8[ns]")


def make_product(grid: GeoBox, *, seed: int = 0) -> xr.Dataset:
    """Draw four days over two months, with gaps, an interval and codes."""
    rng = np.random.default_rng(seed)
    shape = (DAYS.size, grid.shape.y, grid.shape.x)
    wet = np.round(rng.uniform(0.05, 0.4, shape) * 2**15).astype("f4") / np.float32(2**15)
    wet[:, :3, :4] = np.nan
    fields = {
        "soil_moisture": wet,
        "soil_moisture_lower": wet - np.float32(2**-6),
        "soil_moisture_upper": wet + np.float32(2**-6),
        "closure_residual": np.zeros(shape, "f4"),
    }
    dims = ("time", "y", "x")
    layers = {
        name: (dims, values, variable(name).attributes() | {"depth_from": 0.0, "depth_to": 0.05})
        for name, values in fields.items()
    }
    codes = np.where(np.isnan(wet), 5, 2).astype("u1")
    words = variable("origin").attributes()
    layers["origin"] = (dims, codes, {**words, **ORIGIN.attributes()})
    layers["flags"] = (dims, np.zeros(shape, "u2"), {**words, **FLAGS.attributes()})
    cube = xr.Dataset(layers, coords={"time": DAYS, **coordinates(grid)})
    cube["soil_moisture"].attrs["cell_methods"] = "time: mean"
    return cube


@pytest.fixture(scope="session")
def publication():
    one = Input(("a.nc", "b.nc"), "free with attribution", "Ek et al. (2003), doi:10.1000/soil.1")
    two = Input(("c.nc",), "not stated", "Li (2004); Wu (2005)")
    about = About(creator="A. Hydrologist", creator_email="a@example.org", keywords=["Karst"])
    return Publication(
        title="Karst, 9 km",
        target="soil_moisture",
        summary="Soil moisture of a small place.",
        source="vadose, method: Forest",
        history="vadose",
        created="2026-11-21T10:00:00+00:00",
        version="0a1b2c3d4e5f6a7b",
        command="vadose run karst.yaml",
        inputs=(one, two),
        notes=("Soil is often frozen.",),
        about=about,
    )


@pytest.fixture(scope="session")
def degrees(tmp_path_factory, publication):
    """Write a packed product on a grid of degrees in every form."""
    grid = latlon(0.25, (-5.0, 40.0, 2.5, 45.0))
    return export(make_product(grid), tmp_path_factory.mktemp("degrees"), publication, packed=True)


@pytest.fixture(scope="session")
def ease(tmp_path_factory, publication):
    """Write a product in single precision on a part of EASE-Grid 2.0 in every form."""
    whole = xr.Dataset(coords=coordinates(named_grid("EASE2_9km")))
    grid = grid_of(whole.isel(y=slice(400, 420), x=slice(2000, 2030)))
    return export(make_product(grid), tmp_path_factory.mktemp("ease"), publication, packed=False)


@pytest.fixture(params=["degrees", "ease"])
def exported(request):
    """Give each of them in turn."""
    return request.getfixturevalue(request.param)


def export(cube, folder, publication, *, packed):
    """Write a product in every form; give the folder, the cube and what it is."""
    source = folder / "source.zarr"
    write_cube(cube, source, packed=packed)
    cube, out = open_cube(source), folder / "export"
    out.mkdir()
    files = write_cf_months(cube, out, "product", publication)
    files.append(write_geozarr(cube, out / "product.zarr", publication))
    files.append(write_geozarr(cube, out / "product_gdal.zarr", publication, version=2))
    write_days(open_windows(source), out, "product", publication, lambda *_: None)
    write_stac({"product": cube}, out, publication, {"product": files})
    write_papers(out, publication, ["product"])
    write_checksums(out)
    return SimpleNamespace(
        folder=out, cube=cube.load(), grid=grid_of(cube), publication=publication
    )


@pytest.fixture
def makers():
    """Give the functions that make a product and write it in every form."""
    return make_product, export
