"""A small study with days, of which the truth of two layers is withheld."""

from __future__ import annotations

import pytest
import rasterio
import yaml

from vadose.grids import grid_of
from vadose.synthetic import world

UNITS = {"ndvi": "1", "sand": "%", "precipitation": "mm day-1"}
LAYERS = ("soil_moisture", "root_zone_soil_moisture")


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Write each day of a synthetic world to a GeoTIFF, a band per variable."""
    folder = tmp_path_factory.mktemp("files")
    earth = world(size=32, days=30, factor=8, seed=3)
    cube = earth.predictors[list(UNITS)].assign({name: earth.truth[name] for name in LAYERS})
    grid = grid_of(cube)
    profile = {
        "driver": "GTiff",
        "count": len(cube.data_vars),
        "dtype": "float32",
        "height": grid.shape.y,
        "width": grid.shape.x,
        "crs": str(grid.crs),
        "transform": grid.affine,
    }
    for step, stamp in enumerate(cube["time"].values):
        path = folder / f"day_{str(stamp)[:10].replace('-', '')}.tif"
        with rasterio.open(path, "w", **profile) as file:
            for band, field in enumerate(cube.isel(time=step).data_vars.values()):
                file.write(field.values.astype("f4"), band + 1)
    return folder


@pytest.fixture(scope="session")
def two_layers(files, tmp_path_factory):
    """Give a function that writes a recipe of these files; the last of its methods is published."""

    def write(methods, **changes):
        units = {**UNITS, **dict.fromkeys(LAYERS, "m3 m-3")}
        layers = {
            name: {"source": band + 1, "units": unit}
            for band, (name, unit) in enumerate(units.items())
        }
        source = {
            "product": "our days",
            "describe": {
                "pattern": "day_*.tif",
                "layers": layers,
                "time": "name",
                "time_pattern": r"_(\d{8})\.tif",
            },
            "paths": [str(files)],
        }
        content = {
            "title": "Two layers",
            "predictors": list(UNITS),
            "also": [LAYERS[1]],
            "build": {"factor": 8, "withhold": True, "sources": [source]},
            "methods": {
                "nearest": {"title": "nearest", "kind": "nearest"},
                "smooth": {"title": "smooth", "kind": "smooth"},
                **methods,
            },
            "publish": list(methods)[-1],
        }
        path = tmp_path_factory.mktemp("recipe") / "two.yaml"
        path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False), encoding="utf-8")
        return path

    return write
