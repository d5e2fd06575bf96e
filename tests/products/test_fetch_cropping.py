"""Granules that are cropped after they came, and readers of parts: bit by bit what the whole ones give."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from vadose.errors import FileProblem
from vadose.grids import grid_of, named_grid
from vadose.products import PRODUCTS
from vadose.products.fetching.base import FetchProblem
from vadose.products.fetching.contents import is_cut, needed, whole_grid
from vadose.products.fetching.cropping import crop_file
from vadose.products.fetching.cuts import Cut, Need, wanted_cut
from vadose.products.fetching.extents import check_cut, check_same

sys.path.insert(0, str(Path(__file__).parent))
from fixtures_maps import MAPS, write_smap

sys.path.pop(0)

BOX = (146.0, -36.0, 149.0, -33.0)
WIDER = (144.0, -38.0, 149.0, -33.0)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Whole granules of each product."""
    folder = tmp_path_factory.mktemp("maps")
    for name, write in dict(MAPS.values()).items():
        write(folder / name)
    return folder


@pytest.mark.parametrize("product", MAPS)
@pytest.mark.parametrize("box", [BOX, (-180.0, 60.0, -170.0, 84.0), (170.0, -60.0, 180.0, -50.0)])
def test_readers_give_of_a_part_what_they_give_of_the_whole(product, box, tmp_path, maps):
    whole = maps / MAPS[product][0]
    part = tmp_path / whole.name
    cut = wanted_cut(product, box, ())
    crop_file(whole, part, [product], cut)
    check_cut(part, Need(cut, {product: ()}), cut)
    check_same(whole, part, [product], box)
    first, second = (PRODUCTS[product].open(path, box) for path in (whole, part))
    assert list(first.data_vars) == list(second.data_vars)
    for variable in first.data_vars:
        assert first[variable].values.tobytes() == second[variable].values.tobytes()
        assert first[variable].variable.identical(second[variable].variable)
    assert first["time"].values == second["time"].values
    held = grid_of(PRODUCTS[product].open(part))
    assert held.shape.y <= first.sizes["y"] + 2
    assert held.shape.x <= first.sizes["x"] + 2
    assert part.stat().st_size < whole.stat().st_size
    # files of both kinds are one cube
    assert PRODUCTS[product].open([whole, part], box).attrs["duplicate_times_dropped"] == 1


def test_a_part_keeps_the_attributes_and_the_metadata(tmp_path):
    whole = write_smap(tmp_path / MAPS["SPL3SMP"][0])
    part = tmp_path / "part.h5"
    crop_file(whole, part, ["SPL3SMP_AM"], wanted_cut("SPL3SMP_AM", BOX, ("soil_moisture",)))
    with h5py.File(part) as file, h5py.File(whole) as source:
        group = file["Soil_Moisture_Retrieval_Data_AM"]
        assert set(group) == {
            "soil_moisture", "retrieval_qual_flag", "surface_flag", "latitude", "longitude"
        }  # fmt: skip
        assert "Soil_Moisture_Retrieval_Data_PM" not in file
        own = source["Soil_Moisture_Retrieval_Data_AM/soil_moisture"]
        assert dict(group["soil_moisture"].attrs) == dict(own.attrs)
        assert group["soil_moisture"].dtype == own.dtype
        assert file["Metadata/Extent"].attrs["rangeBeginningDateTime"].startswith("2019-12-01")
        assert file.attrs["Conventions"] == "CF"


@pytest.mark.parametrize("told_by", ["x_and_y", "indices", "degrees"])
def test_a_part_of_a_smap_map_is_placed_by_whatever_tells_it(told_by, tmp_path):
    """As NASA's services cut it: with their own coordinates, or with none but those off the swath."""
    whole = write_smap(tmp_path / MAPS["SPL3SMP"][0])
    part = tmp_path / "SMAP_L3_SM_P_20191201_R18290_001_subsetted.nc4"
    grid = named_grid("EASE2_36km")
    rows, columns = slice(120, 150), slice(700, 740)
    with h5py.File(whole) as source, h5py.File(part, "w") as file:
        for group in ("Soil_Moisture_Retrieval_Data_AM", "Soil_Moisture_Retrieval_Data_PM"):
            ending = "_pm" if group.endswith("PM") else ""
            for name, array in source[group].items():
                if told_by == "degrees" or not name.startswith(("lat", "lon")):
                    file[f"{group}/{name}"] = array[rows, columns]
                    file[f"{group}/{name}"].attrs.update(array.attrs)
            if told_by == "x_and_y":
                file[f"{group}/x"] = grid.affine.c + grid.affine.a * (np.arange(700, 740) + 0.5)
                file[f"{group}/y"] = grid.affine.f + grid.affine.e * (np.arange(120, 150) + 0.5)
            elif told_by == "indices":
                is_seen = source[f"{group}/soil_moisture{ending}"][rows, columns] != -9999
                row, column = np.mgrid[120:150, 700:740]
                file[f"{group}/EASE_row_index{ending}"] = np.where(is_seen, row, 65534).astype("u2")
                file[f"{group}/EASE_column_index{ending}"] = np.where(
                    is_seen, column, 65534
                ).astype("u2")
    cube, every = PRODUCTS["SPL3SMP"].open(part), PRODUCTS["SPL3SMP"].open(whole)
    assert grid_of(cube) == grid[rows, columns]
    for name in cube.data_vars:
        own = every[name].isel(y=rows, x=columns)
        assert cube[name].values.tobytes() == own.values.tobytes()


def test_a_part_of_a_smap_map_that_tells_no_place_is_refused(tmp_path):
    whole = write_smap(tmp_path / MAPS["SPL3SMP"][0])
    part = tmp_path / "SMAP_L3_SM_P_20191201_R18290_002.h5"
    with h5py.File(whole) as source, h5py.File(part, "w") as file:
        for group in ("Soil_Moisture_Retrieval_Data_AM", "Soil_Moisture_Retrieval_Data_PM"):
            for name, array in source[group].items():
                values = array[120:150, 700:740]
                file[f"{group}/{name}"] = (
                    np.full_like(values, -9999) if name[:3] in ("lat", "lon") else values
                )
                file[f"{group}/{name}"].attrs.update(array.attrs)
    with pytest.raises(
        FileProblem, match=r"\(406, 964\) of SPL3SMP, or a part of it that says where"
    ):
        PRODUCTS["SPL3SMP"].open(part)
    with h5py.File(part, "r+") as file:
        for name, step in (("row", 2), ("column", 1)):
            steps = (np.arange(30)[:, None] + np.zeros((30, 40))) * step
            file[f"Soil_Moisture_Retrieval_Data_AM/EASE_{name}_index"] = steps.astype("u2")
    with pytest.raises(FileProblem, match="cells off their place: rows of maps of shape"):
        PRODUCTS["SPL3SMP"].open(part)


def test_a_part_that_lacks_cells_or_differs_is_refused(tmp_path):
    name, write = MAPS["GLDAS_NOAH"]
    whole = write(tmp_path / name)
    part = tmp_path / "part.nc4"
    cut = wanted_cut("GLDAS_NOAH", BOX, ())
    crop_file(whole, part, ["GLDAS_NOAH"], cut)
    wide = replace(cut, box=WIDER)
    with pytest.raises(FetchProblem, match="expected all cells of 144, -38, 149, -33"):
        check_cut(part, Need(wide, {"GLDAS_NOAH": ()}), wide)
    need = Need(cut, {"GLDAS_NOAH": ("albedo",)})
    with pytest.raises(FetchProblem, match="found a cut file without albedo"):
        check_cut(part, need, cut)
    with h5py.File(part, "r+") as file:
        file["AvgSurfT_inst"][0, 5, 5] += 1
    with pytest.raises(FetchProblem, match="found other values in the part than in the whole"):
        check_same(whole, part, ["GLDAS_NOAH"], BOX)


# --- what readers need


def test_every_product_that_is_cut_has_a_grid_and_names():
    cut = [name for name in PRODUCTS if is_cut(name)]
    assert {"SPL3SMP", "SPL3SMP_E_AM", "SPL4SMAU", "IMERG", "GLDAS_NOAH"} <= set(cut)
    for name in cut:
        assert needed(name, ())
        assert named_grid(whole_grid(name)[0]).shape.y > 400


def test_a_cut_that_was_made_for_all_holds_some_and_not_the_reverse():
    every, some = Cut(BOX), Cut(BOX, ("a",))
    assert every.holds(some)
    assert not some.holds(every)
    assert some.joined(every).variables == ()
