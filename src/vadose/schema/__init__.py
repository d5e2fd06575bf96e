"""The table of variables and the check that every cube passes.

A cube is an `xarray.Dataset` with dims ``time, y, x`` (static layers ``y, x``; ensembles ``member`` in
front), variables named and measured as in `VARIABLES`, on one grid given by the scalar coordinate
``spatial_ref``. See ``docs/conventions.md``.
"""

from vadose.schema.checks import DIMS, FILL_LIKE, GRID_MAPPING, check_cube, check_values
from vadose.schema.flags import FLAGS, IGBP, ORIGIN, QUALITY, Bits, Flags
from vadose.schema.variables import (
    VARIABLES,
    Aggregation,
    Interpolation,
    Kind,
    Variable,
    variable,
)

__all__ = [
    "DIMS",
    "FILL_LIKE",
    "FLAGS",
    "GRID_MAPPING",
    "IGBP",
    "ORIGIN",
    "QUALITY",
    "VARIABLES",
    "Aggregation",
    "Bits",
    "Flags",
    "Interpolation",
    "Kind",
    "Variable",
    "check_cube",
    "check_values",
    "variable",
]
