# %% [markdown]
# # 4. Downscale: coarse cube in, fine cube out
#
# A *downscaler* is fitted on the coarse cube alone and predicts on the fine grid. Here the truth is withheld: the coarse soil moisture is
# the area mean of a field that no model sees, so that every method can be judged. (It has no noise here, so all scores are better than
# a satellite would allow; [Models](../models/index.md) has the harder test.)

# %%
from vadose.cubes.assemble import withhold
from vadose.synthetic import world

names = ["elevation", "topographic_wetness_index", "sand", "clay", "albedo", "ndvi"]
earth = world(size=64, days=40, factor=4, seed=7)
everything = earth.predictors.assign(
    soil_moisture=earth.truth["soil_moisture"]
).isel(time=slice(0, 40, 5))
cubes = withhold(everything, target="soil_moisture", predictors=names, factor=4)
coarse, fine, truth = (
    cubes["coarse"],
    cubes["fine"],
    cubes["truth"]["soil_moisture"],
)

# %% [markdown]
# ## Five ways down
#
# *Direct*: the relation learned at the coarse scale is applied to fine predictors, as the papers do. *Residual*: departures within cells
# are learned one scale up and applied one scale down. *Closed*: the area mean of the fine field equals the coarse value, inside physical
# bounds. And the two ways that learn nothing, which every other one has to beat.

# %%
from vadose.cubes.regrid import nearest, smooth
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Closed
from vadose.downscale.downscaler import Direct, Residual
from vadose.models import Boosting, RandomForest

ways = {
    "coarse value copied": Interpolation(nearest),
    "smooth, closed": Closed(Interpolation(smooth)),
    "forest": Direct(RandomForest(trees=30), names),
    "forest, closed": Closed(Direct(RandomForest(trees=30), names)),
    "residual, closed": Closed(
        Residual(
            Boosting(trees=60, leaf=20), names, factor=4, ratio=2, in_steps=True
        )
    ),
}
maps = {name: way.fit(coarse).predict(fine, coarse) for name, way in ways.items()}

# %% [markdown]
# ## Judged on the same cells

# %%
from vadose.grids import grid_of
from vadose.validate.protocol import closure, compare

score = compare(
    {name: cube["soil_moisture"] for name, cube in maps.items()},
    truth,
    grid_of(coarse),
)
print(f"{'':<22}{'RMSE':>7}{'R':>7}{'r in cells':>12}{'closure':>9}")
for name, cube in maps.items():
    whole, inside = (
        score.sel(product=name, view="pooled"),
        score.sel(product=name, view="within_cell"),
    )
    left = closure(cube["soil_moisture"], coarse["soil_moisture"])
    print(
        f"{name:<22}{float(whole['rmse']):>7.4f}{float(whole['r']):>7.3f}{float(inside['r']):>12.3f}{left:>9.4f}"
    )

# %% [markdown]
# *r in cells* leaves the mean of every coarse cell out: it is all that downscaling can add. *closure* is how far the area means are from
# the coarse values (RMSE, m³ m⁻³).

# %%
import matplotlib.pyplot as plt

shown = {
    **{
        name: maps[name]["soil_moisture"]
        for name in ("coarse value copied", "residual, closed")
    },
    "truth": truth,
}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2))
for one, (name, field) in zip(axes, shown.items(), strict=True):
    drawn = one.imshow(field.isel(time=2), cmap="YlGnBu", vmin=0.05, vmax=0.4)
    one.set_title(name)
    one.axis("off")
figure.colorbar(drawn, ax=axes, shrink=0.8, label="soil moisture, m³ m⁻³")

# %% [markdown]
# ## Every value knows where it came from

# %%
from vadose.schema import ORIGIN

product = maps["residual, closed"]
print(list(product))
for code, meaning in enumerate(ORIGIN.meanings):
    share = float((product["origin"] == code).mean())
    if share:
        print(f"{meaning:<14}{share:6.1%}")

# %% [markdown]
# `extrapolated` says that a predictor is beyond the range that the model has learned from: fine terrain is steeper than its means over
# coarse cells, whatever the model. Look there last.
