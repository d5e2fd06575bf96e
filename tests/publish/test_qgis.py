"""QGIS finds the maps where the product lies, and the values under the pointer in their unit."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

#: Debian's Python, for which QGIS is packaged.
PYTHON = Path("/usr/bin/python3")
DAY = "2019-04-30"
CELLS = [(0, 0), (0, 29), (19, 0), (19, 29), (5, 20), (14, 7)]
SCRIPT = """
import json, sys
from qgis.core import QgsApplication, QgsMeshLayer, QgsPointXY, QgsProviderRegistry, QgsRaster, QgsRasterLayer

application = QgsApplication([], False)
application.initQgis()
asked = json.load(sys.stdin)
told = {"maps": {}, "listed": {}}
for key, (name, band) in asked["maps"].items():
    layer = QgsRasterLayer(name, key, "gdal")
    extent, provider = layer.extent(), layer.dataProvider()
    found = told["maps"][key] = {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "extent": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
        "size": [layer.width(), layer.height()],
        "values": [],
    }
    for place in asked["places"]:
        answer = provider.identify(QgsPointXY(*place), QgsRaster.IdentifyFormatValue)
        found["values"].append(answer.results()[band])
registry = QgsProviderRegistry.instance()
for name in asked["files"]:
    told["listed"][name] = [layer.uri() for layer in registry.querySublayers(name)]
mesh = QgsMeshLayer(asked["mesh"], "mesh", "mdal")
provider = mesh.dataProvider()
told["mesh"] = {"valid": mesh.isValid(), "crs": mesh.crs().authid()}
told["mesh"]["start"] = provider.temporalCapabilities().referenceTime().date().toString("yyyy-MM-dd")
told["mesh"]["groups"] = {
    provider.datasetGroupMetadata(group).name(): provider.datasetCount(group)
    for group in range(provider.datasetGroupCount())
}
print(json.dumps(told))
sys.stdout.flush()
application.exitQgis()
"""


def asked(exported):
    """Give what is asked of QGIS: the second day in every form, and the containers."""
    folder = exported.folder
    maps = {
        "GeoTIFF": (f"{folder}/days/{DAY}/product_{DAY}_soil_moisture.tif", 1),
        "netCDF": (f'NETCDF:"{folder}/product_2019-04.nc":soil_moisture', 2),
        "Zarr": (f'ZARR:"{folder}/product_gdal.zarr":/soil_moisture:1', 1),
    }
    places = [exported.grid.affine * (column + 0.6, row + 0.6) for row, column in CELLS]
    files = [f"{folder}/product_2019-04.nc", f"{folder}/product_gdal.zarr"]
    return {"maps": maps, "places": places, "files": files, "mesh": files[0]}


@pytest.fixture(scope="module")
def qgis(degrees, ease, tmp_path_factory):
    """Give what QGIS says of both products."""
    home = tmp_path_factory.mktemp("home")
    environment = {"PATH": os.defpath, "HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    # other tests look at the same export: no statistics are to be left in it
    environment |= {"XDG_RUNTIME_DIR": str(home), "GDAL_PAM_ENABLED": "NO"}

    def ask(script: str, given: str = "") -> subprocess.CompletedProcess[str]:
        words = [str(PYTHON), "-c", script]
        return subprocess.run(
            words, input=given, capture_output=True, text=True, env=environment, check=False
        )

    if not PYTHON.exists() or ask("import qgis.core").returncode != 0:
        pytest.skip(f"no QGIS for {PYTHON} (Debian: python3-qgis)")
    answers = {}
    for made in (degrees, ease):
        done = ask(SCRIPT, json.dumps(asked(made)))
        assert done.stdout, done.stderr
        answers[made.folder] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize("form", ["GeoTIFF", "netCDF", "Zarr"])
def test_a_layer_lies_where_the_product_does_and_has_its_values(qgis, exported, form) -> None:
    layer = qgis[exported.folder]["maps"][form]
    assert layer["valid"]
    assert layer["crs"] == f"EPSG:{exported.grid.crs.epsg}"
    edges = exported.grid.extent.boundingbox
    assert layer["extent"] == pytest.approx([edges.left, edges.bottom, edges.right, edges.top])
    assert layer["size"] == [exported.grid.shape.x, exported.grid.shape.y]
    found = np.array([np.nan if value is None else value for value in layer["values"]])
    values = exported.cube["soil_moisture"].values[1]
    np.testing.assert_array_equal(found, [values[row, column] for row, column in CELLS])


def test_the_browser_lists_all_variables(qgis, exported) -> None:
    for name, layers in qgis[exported.folder]["listed"].items():
        kind = "NETCDF" if name.endswith(".nc") else "ZARR"
        for variable in exported.cube.data_vars:
            end = str(variable) if kind == "NETCDF" else f"/{variable}"
            assert f'{kind}:"{name}":{end}' in layers


def test_the_mesh_layer_plays_the_days(qgis, exported) -> None:
    mesh = qgis[exported.folder]["mesh"]
    assert mesh["valid"]
    assert mesh["crs"] == f"EPSG:{exported.grid.crs.epsg}"
    assert mesh["groups"]["surface soil moisture"] == 2
    assert mesh["start"] == "1970-01-01"
