"""What downscaling adds: the pattern within each coarse cell."""

from __future__ import annotations

import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import area_mean, nearest
from vadose.grids import grid_of, snapped


def within_cell(field: xr.DataArray, coarse: GeoBox) -> xr.DataArray:
    """Take the mean of each coarse cell off a fine field.

    Parameters
    ----------
    field
        Dims ``[time,] y, x``; NaN takes no part in the mean.
    coarse
        Grid in which the field's grid nests.

    Returns
    -------
    xarray.DataArray
        Departures from the cell mean, double precision.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> fine = latlon(90.0)
    >>> field = xr.DataArray([[1.0, 3, 5, 5], [1, 3, 5, 5]], dims=("y", "x"), coords=coordinates(fine))
    >>> within_cell(field, latlon(180.0)).values[0]
    array([-1.,  1.,  0.,  0.])
    """
    field = snapped(field)
    mean = nearest(area_mean(field, coarse, min_valid=0.0), grid_of(field))
    return (field.astype("f8") - mean).transpose(*field.dims)
