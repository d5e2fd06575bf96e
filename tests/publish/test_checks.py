"""The validators pass a sound export, and each of them finds the fault that is its own."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
import rasterio
import zarr

from vadose.errors import FileProblem, MissingExtra
from vadose.publish import check_export, write_checksums
from vadose.publish.stac_checks import check_stac


@pytest.fixture
def copied(degrees, tmp_path):
    """Give a copy that may be spoilt, and a function that tells the checks that then fail."""
    folder = tmp_path / "copy"
    shutil.copytree(degrees.folder, folder)

    def failing() -> dict[str, str]:
        return {one.what: one.detail for one in check_export(folder) if not one.passed}

    return folder, failing


def test_a_sound_export_passes_all(exported) -> None:
    steps = []
    verdicts = check_export(exported.folder, lambda *how: steps.append(how))
    assert [one for one in verdicts if not one.passed] == []
    assert {"compliance-checker", "rio-cogeo", "pystac, vadose", "GDAL"} <= {
        one.by for one in verdicts
    }
    assert steps[-1] == (len(verdicts), len(verdicts))


def test_changed_lost_and_foreign_files(copied) -> None:
    folder, failing = copied
    (folder / "README.md").write_text("other")
    (folder / "LICENCE.txt").unlink()
    (folder / "stray.txt").touch()
    found = failing()
    assert set(found) == {"checksums", "STAC"}
    assert found["checksums"] == (
        "LICENCE.txt is missing; stray.txt has no checksum; README.md was changed"
    )
    assert found["STAC"] == "collection.json: ./LICENCE.txt does not exist"


def test_what_desktop_tools_leave_beside_maps_is_no_fault(copied) -> None:
    folder, _ = copied
    (folder / "product_2019-04.nc.aux.xml").write_text("<PAMDataset/>")
    verdict = check_export(folder)[0]
    assert verdict.passed
    assert verdict.detail.endswith("; 1 side files of GDAL (.aux.xml) passed over")


def test_each_form_with_a_fault_of_its_own(copied) -> None:
    folder, failing = copied
    with h5py.File(folder / "product_2019-04.nc", "r+") as file:
        file["soil_moisture"].attrs["standard_name"] = "soil_wetness_of_ours"
        del file.attrs["summary"]
    spoil_zarr_for_gdal(folder)
    plain = spoil_map(folder)
    first, second = spoil_items(folder)
    text = (folder / "CITATION.cff").read_text().replace("\ntitle:", "\nheading:", 1)
    (folder / "CITATION.cff").write_text(text)
    write_checksums(folder)
    found = failing()
    assert set(found) == {
        "netCDF, CF 1.11",
        "netCDF, ACDD 1.3",
        "Zarr, for GDAL",
        "GeoTIFF",
        "STAC",
        "values of all forms",
        "CITATION.cff",
    }
    assert "soil_wetness_of_ours" in found["netCDF, CF 1.11"]
    assert "summary not present" in found["netCDF, ACDD 1.3"]
    assert "product_gdal.zarr: closure_residual lies elsewhere" in found["Zarr, for GDAL"]
    assert plain.name in found["GeoTIFF"]
    assert f"{first.name}: ./nothing.tif does not exist" in found["STAC"]
    assert second.name in found["STAC"]
    wrong = "product_gdal.zarr: other values of soil_moisture than product.zarr"
    assert wrong in found["values of all forms"]
    assert found["CITATION.cff"] == "no title"


def spoil_zarr_for_gdal(folder):
    """Change one value, and push the whole by a column."""
    values = zarr.open_array(folder / "product_gdal.zarr/soil_moisture", mode="r+")
    values[1, 5, 5] = 7
    columns = zarr.open_array(folder / "product_gdal.zarr/x", mode="r+")
    columns[:] = np.asarray(columns[:]) + abs(columns[1] - columns[0])


def spoil_map(folder):
    """Put a GeoTIFF without overviews and tiles in the place of the last day's map."""
    path = sorted((folder / "days").glob("*/*_soil_moisture.tif"))[-1]
    shape = {"height": 600, "width": 600, "count": 1}
    place = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.1, 0, 0, 0, -0.1, 60)}
    path.unlink()
    with rasterio.open(path, "w", driver="GTiff", dtype="int16", **shape, **place) as file:
        file.write(np.zeros((1, 600, 600), "i2"))
    return path


def spoil_items(folder):
    """Let one item lead nowhere, and take the geometry off another."""
    first, second = sorted((folder / "days").glob("*/*.json"))[:2]
    content = json.loads(first.read_text())
    content["assets"]["origin"]["href"] = "./nothing.tif"
    first.write_text(json.dumps(content))
    content = json.loads(second.read_text())
    del content["geometry"]
    second.write_text(json.dumps(content))
    return first, second


def test_items_that_say_other_things_than_their_maps(copied) -> None:
    folder, _ = copied
    items = sorted((folder / "days").glob("*/*.json"))[:2]
    contents = [json.loads(item.read_text()) for item in items]
    contents[0]["properties"]["proj:transform"][2] += 0.125
    contents[1]["assets"]["origin"]["bands"][0]["data_type"] = "int16"
    for item, content in zip(items, contents, strict=True):
        item.write_text(json.dumps(content))
    collection = json.loads((folder / "collection.json").read_text())
    del collection["cube:dimensions"]["time"]
    (folder / "collection.json").write_text(json.dumps(collection))
    faults = check_stac(folder)[0]
    assert "variable flags has unknown dimensions time" in faults[1]
    assert sum("lies elsewhere than proj: says" in fault for fault in faults) == 4
    assert faults[-1].endswith("_origin.tif has another type, unit, nodata, scale or offset")


def test_a_citation_that_catalogues_would_refuse(copied) -> None:
    folder, failing = copied
    text = (folder / "CITATION.cff").read_text()
    text = text.replace("doi: 10.1000/soil.1", "doi: soil.1").replace("'2026-11-21'", "yesterday")
    (folder / "CITATION.cff").write_text(text.replace("type: data\n", "type: ''\n"))
    write_checksums(folder)
    told = failing()["CITATION.cff"]
    assert told.startswith("date-released: no day; reference 1: no type; reference 1: soil.1 is no")


def test_a_lost_chunk(copied) -> None:
    folder, failing = copied
    chunks = (folder / "product.zarr/soil_moisture/c").rglob("*")
    next(path for path in chunks if path.is_file()).unlink()
    found = failing()
    assert "as when it was written" in found["Zarr"]
    assert "as when it was written" in found["values of all forms"]


def test_a_folder_that_is_no_export(tmp_path) -> None:
    with pytest.raises(FileProblem, match=r"found no export, .*Make one with: vadose export RUN"):
        check_export(tmp_path)


def test_a_validator_that_is_not_installed(degrees, monkeypatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'vadose\[publish\]'"):
        check_export(degrees.folder)
