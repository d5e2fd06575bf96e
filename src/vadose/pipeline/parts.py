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
