# %% [markdown]
# # 5. Fuse: a seamless record from a satellite and a land model
#
# The satellite is right and has gaps; the land model has none and is smooth, late and biased. A *filler* learns how the two go together
# and gives a value for every cell and day; what was observed stays as it is.

# %%
import numpy as np

from vadose.synthetic import world

earth = world(size=48, days=75, factor=4, seed=5)
satellite, model = earth.coarse["soil_moisture"], earth.land_model
print(
    f"{float(satellite.isnull().mean()):.0%} of the cells and days have no observation"
)

# %% [markdown]
# ## Which filler? Hide what is known, and see
#
# Gaps that look like the real ones are laid over observed values. Every filler is given the record without them, and judged on them.

# %%
from vadose.fuse import FILLERS
from vadose.samples.gaps import lay_gaps

hidden = lay_gaps(satellite, rng=0, share=0.15)
shown = satellite.where(~hidden)
errors = {}
for name in (
    "persistence",
    "cdf_matched",
    "linear_residual",
    "optimal_interpolation",
):
    filled = FILLERS[name]().fit(shown, model).fill(shown, model)
    errors[name] = float(np.sqrt(((filled - satellite) ** 2).where(hidden).mean()))
errors["land model as it is"] = float(
    np.sqrt(((model["soil_moisture"] - satellite) ** 2).where(hidden).mean())
)
for name, error in sorted(errors.items(), key=lambda pair: pair[1]):
    print(f"{name:<24}{error:.4f} m³ m⁻³")

# %% [markdown]
# These errors hold the satellite's own noise, which no filler can know. `vadose fuse` makes this comparison by itself, on candidates that
# you may name, and says in its report which one was taken and by how much.
#
# ## The record, with its error

# %%
from vadose.fuse.gap_error import GapError
from vadose.fuse.seamless import seamless

filler = FILLERS["optimal_interpolation"]()
filled = filler.fit(shown, model).fill(shown, model)
error = GapError(level=0.9).fit(filled, satellite, hidden)
whole = filler.fit(satellite, model).fill(satellite, model)
record = seamless(earth.coarse, whole, error=error)
record

# %%
from vadose.schema import ORIGIN

for code, meaning in enumerate(ORIGIN.meanings):
    share = float((record["origin"] == code).mean())
    if share:
        print(f"{meaning:<12}{share:6.1%}")
assert not record["soil_moisture"].isnull().any()

# %%
import matplotlib.pyplot as plt

cell = {"y": 8, "x": 8}
figure, axes = plt.subplots(figsize=(9, 3.2))
days = record["time"]
one = record.isel(cell)
axes.fill_between(
    days,
    one["soil_moisture_lower"],
    one["soil_moisture_upper"],
    color="#9ecae1",
    label="90 % of filled values",
)
axes.plot(days, one["soil_moisture"], color="#08519c", label="seamless")
axes.plot(
    days,
    model["soil_moisture"].isel(cell),
    color="#969696",
    linestyle=":",
    label="land model",
)
axes.plot(days, satellite.isel(cell), "k.", label="observed")
axes.set_title("A cell through the season, m³ m⁻³")
axes.legend(ncols=4, fontsize=8, frameon=False)

# %% [markdown]
# From files, without a line of Python: `vadose fuse --satellite FILES --model FILES --out RUN`.
