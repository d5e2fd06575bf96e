"""Make, judge and publish high-resolution, gap-free soil moisture.

Importing the package does nothing but name its version. What a first script needs can be had from here, and is
imported when it is asked for; ``docs/api.md`` shows all of it on one screen, ``docs/conventions.md`` the names,
units and signs used everywhere.

Examples
--------
>>> import vadose
>>> earth = vadose.world(size=16, days=4, factor=4, seed=0)
>>> vadose.grid_of(earth.coarse).shape
Shape2d(x=4, y=4)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0.dev0"

#: Where each name comes from; ``__init__.pyi`` tells type checkers.
_HOME = {
    "CORRECTORS": "correct",
    "FILLERS": "fuse",
    "MODELS": "models",
    "PRODUCTS": "products",
    "VARIABLES": "schema",
    "RunFolder": "pipeline.folder",
    "VadoseError": "errors",
    "check_cube": "schema",
    "grid_of": "grids",
    "named_grid": "grids",
    "open_cube": "store",
    "parse_recipe": "config",
    "read_recipe": "config",
    "world": "synthetic",
    "write_cube": "store",
}

__all__ = [
    "CORRECTORS",
    "FILLERS",
    "MODELS",
    "PRODUCTS",
    "VARIABLES",
    "RunFolder",
    "VadoseError",
    "__version__",
    "check_cube",
    "grid_of",
    "named_grid",
    "open_cube",
    "parse_recipe",
    "read_recipe",
    "world",
    "write_cube",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for; importing the package alone reads no other module."""
    if name not in _HOME:
        raise AttributeError(f"module 'vadose' has no attribute {name!r}")
    return getattr(import_module(f"vadose.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__  # not what this module imports for itself
