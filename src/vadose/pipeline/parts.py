"""What the methods of a recipe are made of, what their models rely on, and what is said of the product."""

from __future__ import annotations

import hashlib
import json

import vadose
from vadose.config import Recipe
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.places import USED_BY_PRODUCT, told_used

#: The file of a model's folder that says where it has learned from the like.
AREA = "area.safetensors"


def parts_of(recipe: Recipe, name: str) -> list[str]:
    """List a method and all that it is made of.

    Examples
    --------
    >>> from vadose.config import DEMO_RECIPE, read_recipe
    >>> recipe = read_recipe(DEMO_RECIPE)
    >>> recipe.publish in parts_of(recipe, recipe.publish)
    True
    """
    return [name, *(part for one in recipe.methods[name].of for part in parts_of(recipe, one))]


def learned_parts(recipe: Recipe, name: str) -> list[str]:
    """List the methods with a model that a method is made of, itself included."""
    method = recipe.methods[name]
    own = [name] if method.model is not None else []
    return own + [part for inner in method.of for part in learned_parts(recipe, inner)]


def importances_of(folder: RunFolder) -> str:
    """Average the importances of the published method's models, summed over each predictor's aspects."""
    from vadose.downscale.downscaler import Generative, load_downscaler

    total: dict[str, float] = {}
    for name in learned_parts(folder.recipe, folder.recipe.publish):
        loaded = load_downscaler(folder / f"models/{name}")
        fitted = loaded.direct if isinstance(loaded, Generative) else loaded
        for feature, value in zip(
            fitted.feature_names_, getattr(fitted.model, "importances_", ()), strict=False
        ):
            predictor = feature.split(":")[0]
            predictor = "land_cover" if predictor.startswith("land_cover_") else predictor
            total[predictor] = total.get(predictor, 0.0) + float(value)
    whole = sum(total.values()) or 1.0
    rows = sorted(total.items(), key=lambda item: -item[1])
    return "predictor,importance\n" + "".join(
        f"{name},{value / whole:.6f}\n" for name, value in rows
    )


def product_attributes(folder: RunFolder) -> dict[str, str]:
    """Give the attributes of a run's product: what it is, of what, and under which terms."""
    recipe = folder.recipe
    inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(folder.state["recipe"].encode()).hexdigest()
    used = told_used(folder.path)
    return {
        **({USED_BY_PRODUCT: json.dumps(used)} if used else {}),
        "title": recipe.title,
        "source": f"vadose {vadose.__version__}, method: {recipe.methods[recipe.publish].title}",
        # neither time nor place: the same recipe gives the same bytes, wherever and whenever
        "history": f"vadose {vadose.__version__}, recipe sha256 {digest}, seed {recipe.seed}",
        "references": "; ".join(one["citation"] for one in inputs),
        "license": "; ".join(one["licence"] for one in inputs),
    }
