"""What a reader needs of a granule: which of its variables, on which grid the whole of it lies.

Only products that stand here are cut: global maps in HDF5 and netCDF-4 whose readers place a part of the
map where it belongs. Tiles are the smallest unit that there is, and a half-orbit is a list of footprints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from vadose.grids import Region
from vadose.products import gldas, imerg, smap, smap_l4
from vadose.products.description import Description

#: By the name under which a cut file remembers it, what a variable may be called in a file.
Names = dict[str, tuple[str, ...]]
#: Beside those, what tells where and when a part lies; taken along where a granule has it.
PLACING = ("latitude", "longitude", "EASE_row_index", "EASE_column_index")


def needed(product: str, variables: Iterable[str]) -> Names:
    """List what a reader needs for some variables; nothing for a product that is not cut.

    Parameters
    ----------
    product
        Its name.
    variables
        Ours; all that the reader gives where there are none.

    Examples
    --------
    >>> needed("GLDAS_NOAH", ["land_surface_temperature"])
    {'AvgSurfT_inst': ('AvgSurfT_inst',)}
    >>> list(needed("SPL3SMP_AM", ["soil_moisture"]))[1]
    'Soil_Moisture_Retrieval_Data_AM/retrieval_qual_flag'
    """
    if product not in _CONTENTS:
        return {}
    return _CONTENTS[product](tuple(variables))


def is_cut(product: str) -> bool:
    """Tell whether files of a product may be cut to a box.

    Examples
    --------
    >>> is_cut("SPL3SMP"), is_cut("MOD13A2")
    (True, False)
    """
    return product in _CONTENTS


def whole_grid(product: str) -> tuple[str, Region]:
    """Give the grid of a whole granule, and the part of it that the product covers.

    Examples
    --------
    >>> whole_grid("GLDAS_NOAH")
    ('latlon_0.25', (-180.0, -60.0, 180.0, 90.0))
    """
    globe = (-180.0, -90.0, 180.0, 90.0)
    if product.startswith("GLDAS"):
        return "latlon_0.25", (-180.0, -60.0, 180.0, 90.0)
    if product.startswith("IMERG"):
        return "latlon_0.1", globe
    is_coarse = product.startswith("SPL3SMP") and not product.startswith("SPL3SMP_E")
    return ("EASE2_36km" if is_coarse else "EASE2_9km"), globe


def placing(product: str) -> tuple[str, ...]:
    """Name what tells where a part of a granule lies, and is taken along where it has it.

    Examples
    --------
    >>> placing("SPL3SMP_PM")[0]
    'Soil_Moisture_Retrieval_Data_PM/latitude_pm'
    """
    if product in _DAILY:
        passes = smap.PASSES[_DAILY[product]]
        return tuple(f"{group}/{name}{ending}" for group, ending in passes for name in PLACING)
    if product in smap_l4.PRODUCTS:
        return ("time", "x", "y", "cell_row", "cell_column", *smap_l4.MAPPINGS)
    return ()


def _of_daily_map(which: str, variables: tuple[str, ...]) -> Names:
    ours = variables or tuple(smap.VARIABLES)
    taken = ["soil_moisture", "retrieval_qual_flag", "surface_flag"]
    taken += [smap.VARIABLES[name] for name in ours if name in smap.VARIABLES]
    return {
        name: (name,)
        for group, ending in smap.PASSES[which]
        for name in dict.fromkeys(f"{group}/{one}{ending}" for one in taken)
    }


def _of_level4(fields: smap_l4.Fields, variables: tuple[str, ...]) -> Names:
    ours = [name for name in variables or fields if name in fields]
    if not set(ours) & set(smap_l4.SOIL):
        ours.append(smap_l4.SOIL[0])  # without one the reader takes it for another file
    return {fields[name][0]: (fields[name][0],) for name in ours}


def _of_described(described: Description, variables: tuple[str, ...]) -> Names:
    names: Names = {}
    for name, layer in described.layers.items():
        if variables and name not in variables:
            continue
        if isinstance(layer.source, Mapping):
            names.update({one: (one,) for one in layer.source})
        else:
            several = layer.source if isinstance(layer.source, tuple) else (str(layer.source),)
            names[several[0]] = several
    return names


#: Passes of SMAP's daily maps, by product.
_DAILY = {
    family + which: which for family in ("SPL3SMP", "SPL3SMP_E") for which in ("", "_AM", "_PM")
}
_CONTENTS: dict[str, Callable[[tuple[str, ...]], Names]] = {
    **{name: partial(_of_daily_map, which) for name, which in _DAILY.items()},
    "SPL4SMGP": partial(_of_level4, smap_l4.GEOPHYSICAL),
    "SPL4SMAU": partial(_of_level4, smap_l4.ANALYSIS),
    **{
        described.name: partial(_of_described, described)
        for described in (imerg.IMERG, imerg.IMERG_DAILY, gldas.GLDAS_NOAH, gldas.GLDAS_NOAH_FLUXES)
    },
}
