"""Samples: from a cube to the arrays that models learn from, and back.

A sampler says what a sample is, `Rows`, `Sequences` or `Patches`; a `Split` says which of them are for
learning, for choosing and for judging. Models see arrays only; what they give is put back on the grid.

Examples
--------
>>> import vadose.synthetic
>>> from vadose.models import RandomForest
>>> world = vadose.synthetic.world(size=16, days=8, factor=4)
>>> cube = world.predictors.assign(soil_moisture=world.truth["soil_moisture"])

Split, so that no cell to be judged is a neighbour of a cell that was learned from:

>>> parts = split(cube, "space", rng=0, block=4, buffer=1)
>>> parts.title
'spatial blocks of 4 x 4 cells, fold 1 of 5, 1 cell between training and test'

Take, fit, predict everywhere, put back:

>>> rows = Rows(["ndvi", "sand", "elevation"])
>>> known = rows.take(cube, "soil_moisture", where=parts.train, groups=parts.groups)
>>> model = RandomForest(trees=5).fit(known.X, known.y, groups=known.groups)
>>> everywhere = rows.take(cube)
>>> field = rows.put(model.predict(everywhere.X), everywhere)
>>> dict(field.sizes)
{'time': 8, 'y': 16, 'x': 16}

Judge where nothing was learned:

>>> error = (field - cube["soil_moisture"]).where(parts.test)
>>> bool(error.notnull().any()), bool((parts.train & parts.test).any())
(True, False)
"""

from vadose.samples.base import Canvas, Frame, Samples, assemble, put
from vadose.samples.parts import Split, cell_of, on_fine, straddling
from vadose.samples.patches import Patches
from vadose.samples.rows import Rows
from vadose.samples.sampler import Sampler
from vadose.samples.scaling import Scaling
from vadose.samples.schemes import SCHEMES, folds, split
from vadose.samples.sequences import Sequences
from vadose.samples.splits import random, space_time, spatial_blocks, time_blocks
from vadose.samples.stations import leave_network_out, leave_stations_out

__all__ = [
    "SCHEMES",
    "Canvas",
    "Frame",
    "Patches",
    "Rows",
    "Sampler",
    "Samples",
    "Scaling",
    "Sequences",
    "Split",
    "assemble",
    "cell_of",
    "folds",
    "leave_network_out",
    "leave_stations_out",
    "on_fine",
    "put",
    "random",
    "space_time",
    "spatial_blocks",
    "split",
    "straddling",
    "time_blocks",
]
