# %% [markdown]
# # 1. Products: open data in one set of names and units
#
# A *product* is a record: which files, which variables, which grid, what a time stamp means, licence and citation. All of them stand in
# one table.

# %%
from vadose.products import PRODUCTS

print(len(PRODUCTS), "products, such as", ", ".join(list(PRODUCTS)[:6]))
PRODUCTS["SPL3SMP"]

# %% [markdown]
# `SAMPLE` travels with the package: one real hour of the GLDAS Noah land model for the whole world, with land cover. Any other product
# is opened in the same way, from the files, folders or globs that you name. Nothing is read before it is needed, and of files outside
# the region and the period nothing at all.

# %%
from vadose.products.sample import SAMPLE_PATH

sample = PRODUCTS["SAMPLE"].open(SAMPLE_PATH, region=(73, 18, 136, 54))
sample[["soil_moisture", "precipitation", "albedo"]]

# %% [markdown]
# What comes out is a *cube*: an `xarray.Dataset` with dims `time, y, x`, one grid, and names and units from one table
# ([conventions](../conventions.md)). Its grid is an immutable `GeoBox`; its attributes carry what you have to cite.

# %%
from vadose.grids import grid_of

grid = grid_of(sample)
print(
    "cells:",
    tuple(grid.shape),
    " EPSG:",
    grid.crs.epsg,
    " cell:",
    grid.resolution.x,
    "degrees",
)
print("cite: ", sample.attrs["citation"][:70], "...")
print(
    "depth:",
    sample["soil_moisture"].attrs["depth_from"],
    "to",
    sample["soil_moisture"].attrs["depth_to"],
    "m",
)

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 3.8))
sample["soil_moisture"].isel(time=0).plot.imshow(
    ax=axes, cmap="YlGnBu", vmin=0, vmax=0.5
)
axes.set_title("Soil moisture of the sample, m³ m⁻³")

# %% [markdown]
# ## Data that is in no table
#
# A netCDF or GeoTIFF product takes a description and no code. Here is a file with percent in place of m³ m⁻³, south up and a fill value
# of its own:

# %%
import numpy as np
import xarray as xr

xr.Dataset(
    {
        "sm": (
            ("time", "lat", "lon"),
            np.array([[[12.0, 30.0], [-99.0, 41.0]]]),
            {"units": "%"},
        )
    },
    coords={
        "time": np.array(["2020-07-01"], "M8[ns]"),
        "lat": ("lat", [30.0, 30.5], {"units": "degrees_north"}),
        "lon": ("lon", [100.0, 100.5], {"units": "degrees_east"}),
    },
).to_netcdf("ours_20200701.nc", engine="h5netcdf")

# %%
from vadose.products.generic import generic_product

ours = generic_product(
    {
        "name": "OURS",
        "title": "our soil moisture",
        "layers": {
            "soil_moisture": {
                "source": "sm",
                "units": "%",
                "depth": [0.0, 0.05],
                "fill_values": [-99],
            }
        },
    }
)
cube = ours.open("ours_20200701.nc")
cube["soil_moisture"].values

# %% [markdown]
# The map is north up now, in m³ m⁻³, and the gap is NaN. What cannot be right is refused, with what was found and what was expected:

# %%
from vadose.errors import VadoseError

try:
    PRODUCTS["SAMPLE"].open("no_such_file.nc")
except VadoseError as error:
    print(error)
