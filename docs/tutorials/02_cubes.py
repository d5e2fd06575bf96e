# %% [markdown]
# # 2. Cubes: bring everything onto two grids that nest
#
# Downscaling needs the predictors twice: on the coarse grid, to learn beside the satellite, and on the fine one, to predict. This page
# uses the *synthetic world*: a small landscape under moving storms whose truth is known, seen as a satellite, a land model and stations
# would see it.

# %%
from vadose.synthetic import world

earth = world(size=64, days=60, factor=8, seed=1)
for name in ("truth", "predictors", "coarse", "land_model", "stations"):
    print(f"{name:<11}", dict(getattr(earth, name).sizes))

# %% [markdown]
# ## From fine to coarse: a rule for each kind of variable
#
# Elevation is averaged, land cover takes the majority, and its shares can be had too. The rule stands in the table of variables, not in
# the call.

# %%
from vadose.cubes.regrid import aggregate
from vadose.grids import grid_of
from vadose.schema import VARIABLES

fine, satellite = earth.predictors, grid_of(earth.coarse)
means = aggregate(fine[["elevation", "land_cover", "precipitation"]], satellite)
for name in means:
    print(f"{name:<14}{VARIABLES[name].aggregation:<10}{dict(means[name].sizes)}")

# %% [markdown]
# An area mean is given where at least half of the area is valid; `min_valid` changes that, and nothing else does. The satellite's gaps
# stay NaN, and `origin` says why:

# %%
from vadose.schema import ORIGIN

origin = earth.coarse["origin"]
for code, meaning in enumerate(ORIGIN.meanings):
    share = float((origin == code).mean())
    if share:
        print(f"{meaning:<12}{share:6.1%}")

# %% [markdown]
# ## A coarse cube to learn from

# %%
predictors = [
    "elevation",
    "topographic_wetness_index",
    "sand",
    "ndvi",
    "precipitation",
]
coarse = earth.coarse[["soil_moisture"]].assign(
    aggregate(fine[predictors], satellite).data_vars
)
coarse

# %%
import matplotlib.pyplot as plt

day = 20
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
coarse["soil_moisture"].isel(time=day).plot.imshow(
    ax=left, cmap="YlGnBu", vmin=0.05, vmax=0.4
)
left.set_title("What the satellite gives, m³ m⁻³")
earth.truth["soil_moisture"].isel(time=day).plot.imshow(
    ax=right, cmap="YlGnBu", vmin=0.05, vmax=0.4
)
right.set_title("What is true, m³ m⁻³")
figure.tight_layout()

# %% [markdown]
# ## To disk and back
#
# Between stages there is one thing: a Dataset that passes `check_cube`. It goes to Zarr under a hidden name and takes its own when it
# is whole.

# %%
from vadose.schema import check_cube
from vadose.store import open_cube, write_cube

check_cube(coarse, required=["soil_moisture", *predictors])
again = open_cube(write_cube(coarse, "coarse.zarr"))
assert again["soil_moisture"].equals(coarse["soil_moisture"])

# %% [markdown]
# A cube that breaks a convention is refused before it does harm:

# %%
from vadose.errors import VadoseError

spoilt = coarse.assign(
    soil_moisture=(100 * coarse["soil_moisture"]).assign_attrs(units="%")
)
try:
    check_cube(spoilt)
except VadoseError as error:
    print(error)

# %% [markdown]
# In a run, `vadose build RECIPE --out RUN` does all of this for every source, and writes what happened to each variable to
# `alignment.json`: coverage, valid share, native resolution, and shifts of half a pixel.
