# %% [markdown]
# # 6. Correct: with stations, judged where they were held out
#
# Stations can mend a bias of the map. Whether they do is asked at stations that the correction has not seen; if it does not help there,
# the product stays as it is.

# %%
from vadose.synthetic import world
from vadose.validate.pairs import match

earth = world(size=64, days=120, factor=8, seed=2, stations=30)
rough = (
    0.7 * earth.truth["soil_moisture"] + 0.10
)  # a product with a bias and too little amplitude
matchup = match({"rough": rough}, earth.stations)
print(matchup["n"].sum().item(), "pairs of product and reading")

# %% [markdown]
# ## Correctors
#
# All of them learn from pairs of product and reading, and change any map of that product.

# %%
from vadose.correct import CORRECTORS

print(", ".join(CORRECTORS))

# %%
from vadose.correct import (
    compare,
    correct_held_out,
    make_corrector,
    pairs_of,
    station_folds,
)

pairs = pairs_of(matchup, "rough")
folds = station_folds(pairs, folds=5, rng=0)
for how in ("nothing", "additive", "linear", "cdf_matching"):
    found = compare(correct_held_out(make_corrector(how), pairs, folds), rng=0)
    print(
        f"{how:<13} RMSE {found.before:.4f} → {found.after:.4f}   change {found.lower:+.4f} to {found.upper:+.4f}"
    )

# %% [markdown]
# The interval comes from whole stations drawn anew. Only where all of it lies below 0 is the correction said to help:

# %%
from vadose.correct import decision

found = compare(correct_held_out(make_corrector("linear"), pairs, folds), rng=0)
print(decision(found.before, found.after, (found.lower, found.upper)).text)

# %% [markdown]
# ## The whole map

# %%
corrector = make_corrector("linear").fit(pairs)
mended = corrector.apply(rough.to_dataset(name="soil_moisture"), earth.predictors)
before = float(abs(rough - earth.truth["soil_moisture"]).mean())
after = float(abs(mended["soil_moisture"] - earth.truth["soil_moisture"]).mean())
print(
    f"mean distance to the truth of the whole map: {before:.4f} before, {after:.4f} after"
)

# %% [markdown]
# ## Where it is not so easy
#
# Where each station errs in a way of its own (here by the bias of its sensor), a correction that knows the stations by heart looks fine
# on them and helps nowhere else. That is why the fold decides, not the fit. A station that was used is refused as a judge from then on:

# %%
from vadose.errors import VadoseError
from vadose.validate.leakage import check_independent

try:
    check_independent(earth.stations, {"correction": ["S01", "S02"]})
except VadoseError as error:
    print(error)

# %% [markdown]
# In a recipe this is `correct:`; see [Correction](../correction.md).
