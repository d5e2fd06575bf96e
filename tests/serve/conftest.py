"""A small run with days, rain and stations, as a finished job would leave it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from vadose.grids import coordinates, latlon
from vadose.schema import variable
from vadose.schema.flags import ORIGIN
from vadose.serve.app import create_app
from vadose.serve.guard import Limits
from vadose.store import write_cube
from vadose.synthetic import world

BASE = "http://127.0.0.1"


@pytest.fixture(scope="session")
def earth():
    return world(size=32, days=6, factor=8, seed=3, stations=4)


@pytest.fixture(scope="session")
def run(earth, tmp_path_factory) -> Path:
    return _write_run(tmp_path_factory.mktemp("runs") / "small", earth)


@pytest.fixture(scope="session")
def product(run) -> xr.Dataset:
    from vadose.store import open_cube

    return open_cube(run / "product.zarr").load()


def _write_run(folder: Path, earth) -> Path:
    (folder / "predictions").mkdir(parents=True)
    product = earth.truth[["soil_moisture"]].copy(deep=True)
    product["soil_moisture"][:, :4, :4] = np.nan
    origin = np.where(
        np.isnan(product["soil_moisture"]), ORIGIN.code("masked"), ORIGIN.code("filled")
    )
    product["origin"] = (("time", "y", "x"), origin.astype("u1"), variable("origin").attributes())
    spread = product["soil_moisture"] * np.float32(0.1)
    product["soil_moisture_spread"] = spread.assign_attrs(
        variable("soil_moisture_spread").attributes()
    )
    write_cube(product, folder / "product.zarr")
    write_cube(earth.coarse_truth[["soil_moisture"]], folder / "coarse.zarr")
    write_cube(earth.truth[["soil_moisture"]], folder / "truth.zarr")
    write_cube(earth.truth[["soil_moisture"]], folder / "predictions" / "forest.zarr")
    write_cube(earth.predictors[["precipitation"]], folder / "fine.zarr")
    earth.stations.to_netcdf(folder / "stations.nc", engine="h5netcdf")
    manifest = {"title": "A small world", "target": "soil_moisture", "method": "closed"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    methods = {"forest": {"title": "Forest"}, "closed": {"title": "Forest, closed"}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"methods": methods}))
    stages = dict.fromkeys(("build", "fit", "downscale", "validate", "report"), 1.0)
    (folder / "state.json").write_text(json.dumps({"stages": stages}))
    return folder


@pytest.fixture(scope="session")
def far_run(tmp_path_factory) -> Path:
    """Give a run whose grid crosses the antimeridian: dry in the west of it, moist in the east."""
    folder = tmp_path_factory.mktemp("runs") / "fiji"
    folder.mkdir()
    for name, step in (("product.zarr", 0.25), ("coarse.zarr", 2.5)):
        grid = latlon(step, (170, -20, 190, -10))
        rows, columns = grid.shape
        values = np.where(np.arange(columns) * step < 10, 0.1, 0.4).astype("f4")
        cube = xr.Dataset(
            {
                "soil_moisture": (
                    ("time", "y", "x"),
                    np.broadcast_to(values, (2, rows, columns)),
                    variable("soil_moisture").attributes(),
                )
            },
            coords={**coordinates(grid), "time": np.array(["2019-07-01", "2019-07-02"], "M8[ns]")},
        )
        write_cube(cube, folder / name)
    (folder / "manifest.json").write_text(json.dumps({"title": "Fiji"}))
    return folder


@pytest.fixture
def ask(run):
    """Give a client of a small run."""
    with _client_of(run) as client:
        yield client


def _client_of(path: Path, **limits):
    from starlette.testclient import TestClient

    from vadose.report.outlines import read_outlines

    app = create_app(path, outlines=read_outlines, limits=Limits(**limits))
    return TestClient(app, base_url=BASE, raise_server_exceptions=False)


@pytest.fixture
def client_of():
    """Give a function that makes a client of a folder."""
    return _client_of


@pytest.fixture
def write_run():
    """Give a function that writes the small run to a folder."""
    return _write_run
