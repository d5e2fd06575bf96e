# %% [markdown]
# # 7. Validate: at stations, with intervals, beside the coarse input
#
# A score without its interval and without that of the coarse input on the same days says little. This page makes both by hand;
# `vadose validate RUN` does it for every method of a run ([Validation](../validation.md)).

# %%
from vadose.cubes.regrid import nearest, smooth
from vadose.grids import grid_of
from vadose.synthetic import world

earth = world(size=64, days=365, factor=16, seed=4, stations=24)
fine = grid_of(earth.truth)
fields = {
    "coarse": nearest(earth.coarse["soil_moisture"], fine),
    "smooth": smooth(earth.coarse["soil_moisture"], fine),
    "truth": earth.truth["soil_moisture"],  # the best that a map can be
}

# %% [markdown]
# ## Pairs
#
# A pair counts where the station and *every* product have a value. What is lost is counted by its reason, and adds up.

# %%
from vadose.validate.pairs import match

matchup = match(fields, earth.stations)
lost = matchup["lost"].sel(product="coarse").sum("station").to_series()
lost[lost > 0]

# %% [markdown]
# ## Scores and their intervals

# %%
from vadose.validate.scores import score_pairs
from vadose.validate.station_intervals import add_intervals

score = add_intervals(score_pairs(matchup), matchup)
first = score.drop_dims("moment").isel(station=0).to_dataframe()
first[["n", "r", "r_lower", "r_upper", "r_effective_n", "bias", "ubrmse"]].round(3)

# %% [markdown]
# `r_effective_n` is how many independent days the record is worth: a wet day follows a wet day. An interval that takes all days for
# independent would be far too narrow.

# %%
assert bool((score["r_effective_n"] < score["n"]).all())

# %% [markdown]
# ## Gains

# %%
from vadose.validate.paired import gains_over, gains_over_stations

gains = gains_over_stations(gains_over(matchup, "coarse"), rng=0)
table = gains.sel(gain=["delta_r", "delta_ubrmse"]).to_dataframe()
table[["median", "lower", "upper", "share_better"]].round(4)

# %% [markdown]
# A gain is positive where the product is better. Of the coarse input over itself it is exactly 0. An interval that holds 0 is no
# improvement, whatever the median.

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(9, 3.2))
place = earth.stations["soil_moisture"].isel(station=0)
axes.plot(place["time"], place, "k.", markersize=3, label="station")
for name, colour in {"coarse": "#d95f0e", "truth": "#08519c"}.items():
    values = matchup["value"].sel(product=name).isel(station=0)
    axes.plot(values["time"], values, color=colour, linewidth=1, label=name)
axes.set_title(f"Station {place['station'].item()}, m³ m⁻³")
axes.legend(frameon=False, ncols=3)

# %% [markdown]
# The station departs from the truth of its square kilometre by a bias of its own and by noise: not even a perfect map scores an ubRMSE
# of 0 at a point. That is the error of representativeness, about .02 m³ m⁻³ at 1 km.
#
# ## Intervals of the product
#
# A spread, such as that of trees, says where a prediction is less sure; *conformal* multipliers, learned on blocks that the model has not
# learned from, turn it into an interval that covers what it says.

# %%
import numpy as np

from vadose.uncertainty.conformal import Conformal

rng = np.random.default_rng(0)
spread = rng.uniform(0.005, 0.03, 4000)  # what a model says of itself
predicted = rng.uniform(0.1, 0.4, 4000)
observed = predicted + 1.7 * spread * rng.normal(
    size=4000
)  # and it is too sure of itself
block = np.arange(4000) // 40
learned, judged = slice(0, 2000), slice(2000, None)
residual = observed - predicted
conformal = Conformal(level=0.9).fit(
    residual[learned], spread[learned], block=block[learned]
)
lower, upper = conformal.apply(predicted[judged], spread[judged])
covered = np.mean((observed[judged] >= lower) & (observed[judged] <= upper))
naive = np.mean(np.abs(residual[judged]) <= 1.645 * spread[judged])
print(f"90 % meant: {covered:.0%} covered; {naive:.0%} with the model's own spread")
assert naive < 0.8 < covered
