# %% [markdown]
# # 8. Report: a study from recipe to page
#
# A *recipe* is a short YAML file. It says what is learned from what, and which method is published. This one is a window of the bundled
# sample, so that it runs in seconds; `vadose demo` does the whole world.

# %%
from pathlib import Path

with Path("india.yaml").open("w", encoding="utf-8") as file:
    file.write("""\
title: India and Central Asia, 1° to 0.25°
seed: 7
target: soil_moisture
predictors:
  - land_surface_temperature
  - albedo
  - evaporation
  - precipitation
  - land_cover_croplands
  - land_cover_barren
build:
  sources: [{product: SAMPLE}]
  factor: 4          # 0.25° → 1°
  withhold: true     # the 0.25° field is the truth
  region: [60, 10, 100, 50]
methods:
  nearest: {title: Coarse value copied, kind: nearest}
  smooth: {title: Smooth interpolation, kind: smooth}
  forest:
    title: Random forest
    kind: direct
    model: random_forest
    parameters: {trees: 40}
  forest_closed: {title: "Random forest, closed", kind: close, of: [forest]}
publish: forest_closed
""")

# %% [markdown]
# A fault in a recipe is found before any work begins:

# %%
from vadose.config import parse_recipe
from vadose.errors import VadoseError

try:
    parse_recipe(
        Path("india.yaml").read_text().replace("random_forest", "random_forrest"),
        source="india.yaml",
    )
except VadoseError as error:
    print(error)

# %% [markdown]
# ## Run
#
# The same as `vadose run india.yaml --out run`. Stopped and started again, it goes on behind its last finished stage.

# %%
from vadose import pipeline

page = pipeline.run("india.yaml", "run")
print(page.name, f"{page.stat().st_size / 1e6:.1f} MB, one file that opens offline")

# %%
from vadose.pipeline.folder import RunFolder

RunFolder(Path("run"))

# %% [markdown]
# ## What lies in the folder

# %%
for path in sorted(Path("run").iterdir()):
    if not path.name.startswith("."):
        print(path.name + ("/" if path.is_dir() else ""))

# %%
import pandas as pd

scores = pd.read_csv("run/scores.csv", index_col="title")
scores[
    ["pooled_r", "pooled_rmse", "within_cell_r", "gain_over_nearest_rmse"]
].round(4)

# %% [markdown]
# The manifest says who made it, from what and with which versions; the command in it repeats the run.

# %%
import json

manifest = json.loads(Path("run/manifest.json").read_text())
for key in ("title", "command", "seed", "method"):
    print(f"{key:<10}{manifest[key]}")
print(f"{'inputs':<10}{[one['name'] for one in manifest['inputs']]}")

# %% [markdown]
# The product is a cube like any other, with its origin, its flags and what closure has left:

# %%
from vadose.store import open_cube

open_cube(Path("run/product.zarr"))
