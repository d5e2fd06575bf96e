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
#: Scores at the stations: one is too short to judge, one was left out.
SCORES = """view,product,station,n,is_used
values,forest,S01,1,False
values,closed,S01,6,True
values,closed,S02,6,True
values,closed,S03,2,False
anomalies,closed,S03,6,True
"""


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
    origin[4, 4:, 4:] = ORIGIN.code("downscaled")
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
    (folder / "validation").mkdir()
    (folder / "validation" / "stations.csv").write_text(SCORES)
    manifest = {"title": "A small world", "target": "soil_moisture", "method": "closed"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    methods = {"forest": {"title": "Forest"}, "closed": {"title": "Forest, closed"}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"methods": methods}))
    stages = dict.fromkeys(("build", "fit", "downscale", "validate", "report"), 1.0)
    (folder / "state.json").write_text(json.dumps({"stages": stages}))
    return folder


@pytest.fixture(scope="session")
def ensemble_run(tmp_path_factory) -> Path:
    """Give a run with members and an interval, of days of which two are left out."""
    folder = tmp_path_factory.mktemp("runs") / "ensemble"
    folder.mkdir()
    dims = ("time", "y", "x")
    rows, columns = (grid := latlon(0.1, (20, -30, 22, -29))).shape
    values = np.full((4, rows, columns), 0.2, "f4")
    days = np.array(["2019-07-01", "2019-07-02", "2019-07-03", "2019-07-06"], "M8[ns]")
    cube = xr.Dataset(coords={**coordinates(grid), "time": days})
    cube["soil_moisture"] = (dims, values, variable("soil_moisture").attributes())
    for ending, shift in (("lower", -0.05), ("upper", 0.1)):
        name = f"soil_moisture_{ending}"
        ends = np.where(np.arange(4)[:, None, None] == 1, np.nan, values + np.float32(shift))
        cube[name] = (dims, ends, {**variable(name).attributes(), "level": 0.9})
    members = np.stack([values + np.float32(0.01 * place) for place in range(3)])
    about = variable("soil_moisture_members").attributes()
    cube["soil_moisture_members"] = (("member", *dims), members, about)
    age = np.zeros((4, rows, columns), "f4")
    age[2, 0, 0] = 17.0
    cube["gap_age"] = (dims, age, {"units": "day", "long_name": "days since the last value"})
    write_cube(cube, folder / "product.zarr")
    (folder / "manifest.json").write_text(json.dumps({"title": "Members"}))
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
