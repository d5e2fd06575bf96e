"""SMAP radiometer soil moisture: half-orbits (SPL2SMP) and daily maps (SPL3SMP, SPL3SMP_E).

The grid comes from the named EASE-Grids: the files' own latitude and longitude are -9999 off the swath. A
map that was cut to a box is placed on it by `vadose.products.smap_part`.
Morning (6 h, descending) and evening (18 h, ascending) passes of the daily maps are separate products,
``SPL3SMP_AM`` and ``SPL3SMP_PM``; ``SPL3SMP`` is their combination. Nothing is dropped for its flags:
they arrive as reasons in ``quality``, 0 where none is set or nothing was seen. Values outside the file's
own valid range (0.02 to 0.5) become NaN; the product recommends none of those.

References
----------
Chan and Dunbar (2021), SMAP Level 3 Passive Soil Moisture Product Specification Document, JPL D-72551.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem, UnitProblem
from vadose.grids import named_grid
from vadose.products import smap_l4
from vadose.products.base import Product
from vadose.products.smap_flags import FLAG_FILL, combine_passes, combine_quality, decode_quality
from vadose.products.smap_part import part_of
from vadose.products.windows import ReadWindow, decode, one_step, require, require_flags
from vadose.schema import QUALITY

#: Our variables and their names in the files. Left out on purpose: ``albedo`` is the single-scattering
#: albedo, not ours; ``soil_moisture_error`` is all fill ("method is TBD", says its own attribute).
VARIABLES = {
    "soil_moisture": "soil_moisture",
    "vegetation_optical_depth": "vegetation_opacity",
    "land_surface_temperature": "surface_temperature",
}
#: Units that mean ours, in the spellings of the files.
UNITS = {
    "soil_moisture": {"cm**3/cm**3", "m**3/m**3", "m3 m-3"},
    "vegetation_optical_depth": {"", "1"},
    "land_surface_temperature": {"Kelvins", "Kelvin", "K"},
}


@dataclass(frozen=True)
class Pass:
    """Read one pass of a file: the group that holds it and the ending of its variables' names."""

    path: Path
    group: str
    ending: str
    product: str
    shape: tuple[int, int]

    def check(self, file: h5py.File) -> list[str]:
        """List our variables that the pass holds; refuse what is not the product."""
        require(self.path, set(file), [self.group], product=self.product)
        held = file[self.group]
        needed = ["soil_moisture", "retrieval_qual_flag", "surface_flag"]
        if self._is_swath(held):
            needed += ["EASE_row_index", "EASE_column_index"]
        require(self.path, set(held), [n + self.ending for n in needed], product=self.product)
        require_flags(self.path, *[held[n + self.ending] for n in needed[1:]])
        found = {n: held[v + self.ending] for n, v in VARIABLES.items() if v + self.ending in held}
        for name, array in found.items():
            unit = smap_l4.text_of(array.attrs.get("units", ""))
            if unit not in UNITS[name]:
                where = f"{self.path}: {self.group}/{VARIABLES[name]}{self.ending}"
                raise UnitProblem(
                    where, found=repr(unit), expected=" or ".join(sorted(UNITS[name]))
                )
            if array.ndim != 1 and array.shape != self.shape:
                raise FileProblem(
                    self.path,
                    found=f"{name} of shape {array.shape}",
                    expected=f"{self.shape} of {self.product}, or a part of it that says where it lies",
                )
        return list(found)

    def values(self, name: str, rows: slice, columns: slice) -> npt.NDArray[np.float32]:
        """Read one variable of a window."""
        return self._decoded(name, rows, columns)[0]

    def quality(self, rows: slice, columns: slice) -> npt.NDArray[np.uint16]:
        """Read the reasons of a window."""
        flags = [self._raw(n, rows, columns)[0] for n in ("retrieval_qual_flag", "surface_flag")]
        reasons = decode_quality(*flags)
        is_outside = self._decoded("soil_moisture", rows, columns)[1]
        reasons[is_outside] |= np.uint16(QUALITY.mask("out_of_range"))
        return reasons

    def _decoded(
        self, name: str, rows: slice, columns: slice
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        raw, attributes = self._raw(VARIABLES[name], rows, columns)
        low, high = smap_l4.valid_range(self.path, name, attributes, (0.0, 1e4))
        fill = (attributes.get("_FillValue", -9999.0), -9999.0)
        return decode(raw, fill=fill, valid=(low, high))

    def _raw(
        self, name: str, rows: slice, columns: slice
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        with h5py.File(self.path) as file:
            held = file[self.group]
            array = held[name + self.ending]
            attributes = dict(array.attrs)
            if array.ndim == 2:
                return array[rows, columns], attributes
            # not what the file says of itself: it may be what the type cannot hold
            fill = FLAG_FILL if "flag" in name else -9999.0
            index = tuple(held[f"EASE_{n}_index{self.ending}"][:] for n in ("row", "column"))
            gridded = np.full(self.shape, fill, array.dtype)
            # Cells that no footprint reached have the index 65534.
            is_on = (index[0] < self.shape[0]) & (index[1] < self.shape[1])
            gridded[index[0][is_on], index[1][is_on]] = array[:][is_on]
        return gridded[rows, columns], attributes

    def _is_swath(self, held: Any) -> bool:
        name = f"soil_moisture{self.ending}"
        return name in held and held[name].ndim == 1


def read_passes(
    path: Path, *, product: str, grid: str, passes: tuple[tuple[str, str], ...]
) -> xr.Dataset:
    """Read one file lazily; several passes are combined.

    Parameters
    ----------
    path
        HDF5 file.
    product, grid
        Names of the product and of its grid.
    passes
        Group of each pass and ending of its variables' names.

    Raises
    ------
    FileProblem, UnitProblem
        A group or variable is missing, or is not what the product has.
    """
    with h5py.File(path) as file:
        box = _box(path, file, named_grid(grid), passes[0])
        shape = (int(box.shape.y), int(box.shape.x))
        readers = [Pass(path, group, ending, product, shape) for group, ending in passes]
        held = [reader.check(file) for reader in readers]
        stamp = _stamp(path, file)
    layers: dict[str, ReadWindow] = {}
    for name in [n for n in held[0] if all(n in other for other in held)]:
        layers[name] = partial(_read_values, readers, name)
    layers["quality"] = partial(_read_quality, readers)
    methods = "time: mean" if len(readers) > 1 else "time: point"
    return one_step(layers, box, stamp, source=path, cell_methods=methods)


def _box(path: Path, file: h5py.File, whole: GeoBox, which: tuple[str, str]) -> GeoBox:
    """Find the grid of a file: the whole one, or the part of it that a subset says it is."""
    group, ending = which
    array = file.get(f"{group}/soil_moisture{ending}")
    is_part = isinstance(array, h5py.Dataset) and array.ndim == 2
    if not is_part or array.shape == tuple(whole.shape):
        return whole
    found = part_of(path, file, group, ending, array.shape, whole)
    return whole if found is None else found


def _read_values(
    readers: list[Pass], name: str, rows: slice, columns: slice
) -> npt.NDArray[np.float32]:
    read = [reader.values(name, rows, columns) for reader in readers]
    return read[0] if len(read) == 1 else combine_passes(read[0], read[1])


def _read_quality(readers: list[Pass], rows: slice, columns: slice) -> npt.NDArray[np.uint16]:
    reasons = [reader.quality(rows, columns) for reader in readers]
    if len(reasons) == 1:
        return reasons[0]
    has_value = [~np.isnan(reader.values("soil_moisture", rows, columns)) for reader in readers]
    return combine_quality((reasons[0], reasons[1]), (has_value[0], has_value[1]))


def _stamp(path: Path, file: h5py.File) -> np.datetime64:
    """Take the day, or start of the half-orbit, from the name; from the metadata of a renamed file."""
    found = re.search(r"_(\d{8}(?:T\d{6})?)_", path.name)
    if found:
        return np.datetime64(smap_l4.iso_of(found.group(1)))
    if "Metadata/Extent" in file:
        start = smap_l4.text_of(file["Metadata/Extent"].attrs.get("rangeBeginningDateTime", ""))
        day = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", start)
        if day:
            is_swath = "Soil_Moisture_Retrieval_Data" in file
            return np.datetime64(day.group(0) if is_swath else day.group(0)[:10])
    raise FileProblem(
        path,
        found="no date in its name and none in Metadata/Extent",
        expected="a name such as SMAP_L3_SM_P_20150811_R18290_001.h5",
        remedy="Give the file its original name.",
    )


_AM, _PM = ("Soil_Moisture_Retrieval_Data_AM", ""), ("Soil_Moisture_Retrieval_Data_PM", "_pm")
_DEPTHS = {"soil_moisture": (0.0, 0.05)}
_AUTHORS = "O'Neill, P. E., Chan, S., Njoku, E. G., Jackson, T., Bindlish, R., Chaubell, J. and Colliander, A. "
_NSIDC = "NASA National Snow and Ice Data Center Distributed Active Archive Center. "
#: Groups and endings of the passes that a daily map is made of, by the ending of the product's name.
PASSES = {
    "": (_AM, _PM),
    "_AM": (_AM,),
    "_PM": (_PM,),
}
_MEANING = {
    "": "mean of the day's 6 h and 18 h passes where both exist, else the one that exists",
    "_AM": "6 h local time (descending) pass",
    "_PM": "18 h local time (ascending) pass",
}


def _daily(family: str, grid: str, pattern: str, which: str, title: str, source: str) -> Product:
    name = family + which
    groups = " and ".join(group for group, _ in PASSES[which])
    return Product(
        name=name,
        since=date(2015, 3, 31),
        title=f"{title}: {_MEANING[which]}",
        variables={ours: f"{groups}: {theirs}" for ours, theirs in VARIABLES.items()}
        | {"quality": f"{groups}: retrieval_qual_flag, surface_flag"},
        grid=grid,
        time_meaning=f"UTC day of the half-orbits, stamped at 00:00; {_MEANING[which]}",
        licence=smap_l4.LICENCE,
        citation=_AUTHORS + source,
        read=partial(read_passes, product=name, grid=grid, passes=PASSES[which]),
        pattern=pattern,
        depths=_DEPTHS,
        file_period=smap_l4.day_in_name,
    )


#: Half-orbits; several of one day are several time steps.
SPL2SMP = Product(
    name="SPL2SMP",
    since=date(2015, 3, 31),
    title="SMAP L2 Radiometer Half-Orbit 36 km EASE-Grid Soil Moisture",
    variables={ours: f"Soil_Moisture_Retrieval_Data: {n}" for ours, n in VARIABLES.items()}
    | {"quality": "Soil_Moisture_Retrieval_Data: retrieval_qual_flag, surface_flag"},
    grid="EASE2_36km",
    time_meaning="start of the half-orbit (about 50 minutes), to which all its cells are stamped; "
    "one that runs over midnight belongs to the day on which it starts",
    licence=smap_l4.LICENCE,
    citation=_AUTHORS
    + "(2021). SMAP L2 Radiometer Half-Orbit 36 km EASE-Grid Soil Moisture, Version 8. "
    f"{_NSIDC}doi:10.5067/LPJ8F0TAK6E0",
    read=partial(
        read_passes,
        product="SPL2SMP",
        grid="EASE2_36km",
        passes=(("Soil_Moisture_Retrieval_Data", ""),),
    ),
    pattern="SMAP_L2_SM_P_[0-9]*.h5",
    depths=_DEPTHS,
    file_period=smap_l4.day_in_name,
)
SPL3SMP, SPL3SMP_AM, SPL3SMP_PM = (
    _daily(
        "SPL3SMP",
        "EASE2_36km",
        "SMAP_L3_SM_P_[0-9]*.h5",
        which,
        "SMAP L3 Radiometer Global Daily 36 km EASE-Grid Soil Moisture",
        "(2021). SMAP L3 Radiometer Global Daily 36 km EASE-Grid Soil Moisture, Version 8. "
        f"{_NSIDC}doi:10.5067/OMHVSRGFX38O",
    )
    for which in PASSES
)
SPL3SMP_E, SPL3SMP_E_AM, SPL3SMP_E_PM = (
    _daily(
        "SPL3SMP_E",
        "EASE2_9km",
        "SMAP_L3_SM_P_E_[0-9]*.h5",
        which,
        "SMAP Enhanced L3 Radiometer Global Daily 9 km EASE-Grid Soil Moisture "
        "(posted at 9 km, resolves about 33 km)",
        "(2021). SMAP Enhanced L3 Radiometer Global and Polar Grid Daily 9 km EASE-Grid Soil "
        f"Moisture, Version 5. {_NSIDC}doi:10.5067/4DQ54OUIJ9DL",
    )
    for which in PASSES
)

SPL4SMGP, SPL4SMAU = smap_l4.SPL4SMGP, smap_l4.SPL4SMAU

#: The family, by name.
PRODUCTS: dict[str, Product] = {
    product.name: product
    for product in (
        SPL2SMP,
        SPL3SMP,
        SPL3SMP_AM,
        SPL3SMP_PM,
        SPL3SMP_E,
        SPL3SMP_E_AM,
        SPL3SMP_E_PM,
    )
} | smap_l4.PRODUCTS
