"""The schemes by name: one split, or all folds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr

from vadose.errors import UnknownName
from vadose.samples.blocks import Rng
from vadose.samples.parts import Split
from vadose.samples.splits import FOLDS, random, space_time, spatial_blocks, time_blocks
from vadose.samples.stations import leave_network_out, leave_stations_out, networks

#: How to divide a cube (the last two of the blocked ones: a dataset of stations) by the scheme's name.
SCHEMES: dict[str, Callable[..., Split]] = {
    "space": spatial_blocks,
    "time": time_blocks,
    "space_time": space_time,
    "stations": leave_stations_out,
    "network": leave_network_out,
    "random": random,
}


def split(cube: xr.Dataset, scheme: str, *, rng: Rng, **settings: Any) -> Split:
    """Divide a cube, or stations, by the name of a scheme.

    Parameters
    ----------
    cube
        Dims ``[time,] y, x``; for ``stations`` and ``network`` dims ``station[, time]``.
    scheme
        Name in `SCHEMES`.
    rng
        Seed or generator: the same seed gives the same parts, whatever the chunks.
    **settings
        Of the scheme's function.

    Raises
    ------
    UnknownName
        Another scheme, or a setting that it does not have.
    CubeProblem, ValueProblem
        As for the scheme.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> cube = world(size=16, days=8, factor=4).truth
    >>> split(cube, "time", rng=0, days=1, gap=1, folds=4).title
    'periods of 1 day, fold 1 of 4, 1 day between training and test'
    """
    _check(scheme, settings)
    return SCHEMES[scheme](cube, rng=rng, **settings)


def folds(cube: xr.Dataset, scheme: str, *, rng: Rng, **settings: Any) -> Iterator[Split]:
    """Give the split of each fold of a scheme: every place is tested once.

    The random scheme has one split only; with ``network`` there is a fold for each network. With
    ``space_time`` each block and each period is tested once, not each of their pairs.

    Parameters
    ----------
    cube, scheme, rng
        As for `split`.
    **settings
        Of the scheme's function, without ``fold``.

    Raises
    ------
    UnknownName, CubeProblem, ValueProblem
        As for `split`.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> tests = [parts.test for parts in folds(latlon(10.0), "space", rng=0, block=3)]
    >>> bool((sum(test.astype(int) for test in tests) == 1).all())
    True
    """
    _check(scheme, {**settings, **({} if scheme == "random" else {"fold": 0})})
    # drawn once, so that all folds are dealt alike
    seed = int(rng.integers(2**62)) if isinstance(rng, np.random.Generator) else rng
    if scheme == "random":
        yield split(cube, scheme, rng=seed, **settings)
        return
    count = len(networks(cube)) if scheme == "network" else settings.get("folds", FOLDS)
    for fold in range(count):
        yield split(cube, scheme, rng=seed, **settings, fold=fold)


def _check(scheme: str, settings: dict[str, Any]) -> None:
    if scheme not in SCHEMES:
        raise UnknownName("scheme", scheme, SCHEMES)
    valid = list(inspect.signature(SCHEMES[scheme]).parameters)[1:]
    for name in settings:
        if name not in valid:
            raise UnknownName(f"setting of scheme {scheme!r}:", name, valid)
