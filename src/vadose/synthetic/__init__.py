"""A small physical world with known truth, from which every kind of data in this package is seen.

A daily water balance runs on a landscape under moving storms; what it knows exactly is then looked at
as a satellite, a land model, a set of stations and a stack of predictors would see it. The order of
the modules is the order of events: `landscape`, `weather`, `bucket`, `views`, `stations`, `worlds`.

Examples
--------
>>> small = world(size=16, days=8, factor=4, seed=0)
>>> dict(small.truth.sizes)
{'time': 8, 'y': 16, 'x': 16}
>>> dict(small.coarse.sizes)
{'time': 8, 'y': 4, 'x': 4}
"""

from vadose.synthetic.stations import write_stations
from vadose.synthetic.worlds import World, world

__all__ = ["World", "world", "write_stations"]
