"""SMOS Level 2 soil moisture (ESA): half-orbits of nodes 15 km apart.

They come out on EASE-Grid 2.0 at 25 km, the grid of the Level 3 maps. Nodes lie on hexagons, 2 to 3 in
a cell; a cell takes **one node unaltered**: of the nodes in it that have a soil moisture, the
nearest to its centre (where none has, the nearest, for its flags). The footprint is about 43 km wide, so
neighbouring nodes repeat each other.

Traps. Flags and probabilities declare 0 as their fill value: an automatic mask hides every unflagged
node. ``flag_masks`` of ``Science_Flags`` are cut to 16 bits; the bits follow the order of the meanings.
Nodes carry a number and no coordinates.

References
----------
Kerr et al. (2012), IEEE Trans. Geosci. Remote Sens. 50(5), 1384-1403. SMOS L2 Processor Soil Moisture
Product specification SO-TN-IDR-GS-0006.
"""

from __future__ import annotations

from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import Transformer

from vadose.products import smos_l3
from vadose.products.base import Product
from vadose.products.isea import node_positions
from vadose.products.smos_l3 import GRID, check_unit, days_in_name, first_stamp
from vadose.products.windows import ReadWindow, decode, one_step, require, require_flags
from vadose.schema import QUALITY, variable

#: Our variables in Level 2 files; the first is required, the others are read where a file has them.
LEVEL2 = {
    "soil_moisture": "Soil_Moisture",
    "soil_moisture_uncertainty": "Soil_Moisture_DQX",
    "vegetation_optical_depth": "Optical_Thickness_Nad",
    "land_surface_temperature": "Surface_Temperature",
}
#: Reasons by bit of ``Confidence_Flags``; 6, 7 and 8: uncertainty too large, fit improbable, Faraday
#: rotation.
CONFIDENCE = {
    1: "radio_interference",
    2: "radio_interference",
    4: "retrieval_failed",
    5: "out_of_range",
    6: "not_recommended",
    7: "not_recommended",
    8: "not_recommended",
}
#: Reasons by bit of ``Science_Flags``, by the order of its 30 ``flag_meanings``. Left out: bits that
#: describe the scene without doubting the value (nominal, forest, sand, wetland, litter ...).
SCIENCE = {
    3: "mountainous",
    4: "mountainous",
    5: "open_water",
    6: "snow",
    7: "snow",
    8: "snow",
    11: "frozen",
    12: "frozen",
    14: "open_water",
    15: "urban",
    16: "urban",
    18: "frozen",
    19: "open_water",
    25: "precipitation",
    27: "dense_vegetation",
}


def decode_quality(
    confidence: npt.NDArray[Any], science: npt.NDArray[Any]
) -> npt.NDArray[np.uint16]:
    """Turn a node's two flags into our reasons.

    Parameters
    ----------
    confidence, science
        ``Confidence_Flags`` and ``Science_Flags``; stored signed, meant unsigned.

    Examples
    --------
    >>> reasons = decode_quality(np.array([0, 2, 128], "i2"), np.array([0, 2048, 1 << 25], "i4"))
    >>> reasons.tolist() == [0, QUALITY.mask("radio_interference", "frozen"),
    ...                      QUALITY.mask("not_recommended", "precipitation")]
    True
    """
    reasons = np.zeros(confidence.shape, "u2")
    for flag, meanings in ((confidence, CONFIDENCE), (science, SCIENCE)):
        for place, meaning in meanings.items():
            is_set = (flag.astype("i8") >> place) & 1 == 1
            reasons[is_set] |= np.uint16(QUALITY.mask(meaning))
    return reasons


def choose_nodes(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], has_value: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Choose one node a cell: with a value before without, then the nearest to the centre.

    Parameters
    ----------
    x, y
        Places in the CRS of `GRID`, m.
    has_value
        Whether the node has a soil moisture.

    Returns
    -------
    node, row, column
        Places in the input and in `GRID`.

    Examples
    --------
    >>> x, y = np.array([100.0, 9000.0, 40000.0]), np.array([100.0, 9000.0, 100.0])
    >>> node, row, column = choose_nodes(x, y, np.array([False, True, False]))
    >>> node.tolist(), row.tolist(), column.tolist()
    ([1, 2], [291, 291], [694, 695])
    """
    right, down = (x - GRID.affine.c) / GRID.affine.a, (y - GRID.affine.f) / GRID.affine.e
    distance = np.hypot(right % 1 - 0.5, down % 1 - 0.5)
    column, row = np.floor(right).astype(np.intp), np.floor(down).astype(np.intp)
    is_on = (row >= 0) & (row < GRID.shape.y) & (column >= 0) & (column < GRID.shape.x)
    cell = row * GRID.shape.x + column
    order = np.lexsort((distance, ~has_value, cell))
    order = order[is_on[order]]
    _, first = np.unique(cell[order], return_index=True)
    node = order[first]
    return node, row[node], column[node]


def read_level2(path: Path) -> xr.Dataset:
    """Read one half-orbit lazily.

    Raises
    ------
    FileProblem
        A variable is missing or in another unit, or the half-orbit has no date.
    """
    needed = ["Grid_Point_ID", "Soil_Moisture", "Confidence_Flags", "Science_Flags"]
    with h5py.File(path) as file:
        require(path, set(file), needed, product="SMOS_L2")
        held = [name for name, stored in LEVEL2.items() if stored in file]
        require_flags(path, *[file[name] for name in (needed[0], *needed[2:])])
        check_unit(path, file["Soil_Moisture"].attrs.get("units", b""))
        start = first_stamp(
            path, file.attrs.get("Fixed_Header:Validity_Period:Validity_Start", b"")
        )
    layers: dict[str, ReadWindow] = {name: partial(_read_nodes, path, name) for name in held}
    layers["quality"] = partial(_read_nodes, path, "quality")
    return one_step(layers, GRID, start, source=path)


def _read_nodes(path: Path, name: str, rows: slice, columns: slice) -> npt.NDArray[Any]:
    with h5py.File(path) as file:
        numbers = file["Grid_Point_ID"][:].astype("i8") & 0xFFFFFFFF
        moisture, is_outside = _decoded(file["Soil_Moisture"], "soil_moisture")
        if name == "quality":
            values: npt.NDArray[Any] = decode_quality(
                file["Confidence_Flags"][:], file["Science_Flags"][:]
            )
            values[is_outside] |= np.uint16(QUALITY.mask("out_of_range"))
        else:
            values = _decoded(file[LEVEL2[name]], name)[0]
    to_grid = Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True)
    x, y = to_grid.transform(*node_positions(numbers))
    node, row, column = choose_nodes(x, y, ~np.isnan(moisture))
    gridded = np.full(tuple(GRID.shape), 0 if name == "quality" else np.nan, values.dtype)
    gridded[row, column] = values[node]
    return gridded[rows, columns]


def _decoded(array: Any, name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    fill = float(np.ravel(array.attrs.get("_FillValue", -999.0))[0])
    return decode(array[:], fill=(fill, -999.0), valid=variable(name).valid_range)


_DEPTHS = {"soil_moisture": (0.0, 0.05)}
SMOS_L2 = Product(
    name="SMOS_L2",
    since=date(2010, 1, 1),
    title="SMOS L2 Soil Moisture User Data Product (SMUDP2), one node a 25 km cell",
    variables={**LEVEL2, "quality": "Confidence_Flags, Science_Flags"},
    grid="EASE2_25km",
    time_meaning="start of the half-orbit (about 53 minutes), to which all its cells are stamped; one "
    "that runs over midnight belongs to the day on which it starts",
    licence="ESA data policy: free and open, citation asked",
    citation="Kerr, Y. H. et al. (2012). The SMOS soil moisture retrieval algorithm. IEEE Trans. Geosci. "
    "Remote Sens. 50(5), 1384-1403. doi:10.1109/TGRS.2012.2184548. Data: European Space Agency, SMOS L2 SM "
    "Version 700",
    read=read_level2,
    pattern="SM_*_MIR_SMUDP2_*.nc",
    depths=_DEPTHS,
    file_period=days_in_name,
)


SMOS_L3_A, SMOS_L3_D = smos_l3.SMOS_L3_A, smos_l3.SMOS_L3_D

#: The family, by name.
PRODUCTS: dict[str, Product] = {"SMOS_L2": SMOS_L2} | smos_l3.PRODUCTS
