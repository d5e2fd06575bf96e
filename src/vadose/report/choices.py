"""What was made, from what and with which choices, in the words of the run's own recipe."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml

from vadose.report.charts import POSITION
from vadose.report.runs import Run
from vadose.report.scene import day_words
from vadose.report.tables import cell_size, whole


def read_choices(run: Run) -> dict[str, Any]:
    """Read the recipe as a mapping; empty where it is none."""
    try:
        content = yaml.safe_load(run.recipe)
    except (yaml.YAMLError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def days_of(run: Run) -> int:
    """Give how many days a stamp of the product stands for."""
    days = _part(read_choices(run), "build").get("days", 1)
    return days if isinstance(days, int) and days > 0 else 1


def tell_choices(run: Run) -> list[tuple[str, str]]:
    """Tell what was made, from what and how, as pairs of name and value; what is not known is left out."""
    recipe = read_choices(run)
    build = _part(recipe, "build")
    product = run.product[run.manifest.target]
    rows, columns = run.fine_grid.shape
    grid = (
        f"{cell_size(run.coarse_grid)} → {cell_size(run.fine_grid)}, "
        f"{whole(rows)} × {whole(columns)} cells, {_crs(run)}"
    )
    period = ""
    if "time" in product.dims:
        times = product["time"].values
        ends = dict.fromkeys(day_words(time) for time in times[[0, -1]])
        period = f"{' to '.join(ends)}, {whole(len(times))} date{'s' if len(times) > 1 else ''}"
        if days_of(run) > 1:
            period += f" of {days_of(run)} days each"
    method = _part(_part(recipe, "methods"), run.manifest.method)
    pairs = [
        ("Made", f"{run.manifest.target.replace('_', ' ')}, {run.scores.methods[run.manifest.method].title}"),
        ("Grid", grid),
        ("Period", period),
        ("Coarse target", _sources(build, "target")),
        ("Other sources", _sources(build, None)),
        ("Predictors", _predictors(recipe, run)),
        ("Method", _method(recipe, method)),
        ("Kept from learning", _hold(recipe)),
        ("Truth", "the target at its own resolution, withheld; models see its means only" if build.get("withhold") else ""),
        ("Gaps of the coarse target", _fuse(recipe)),
        ("Correction", _words(_part(recipe, "correct").get("how", ""))),
        ("Intervals", _level(recipe)),
    ]  # fmt: skip
    return [(name, value) for name, value in pairs if value]


def _crs(run: Run) -> str:
    crs = run.fine_grid.crs
    code = None if crs is None else crs.to_epsg()
    return f"EPSG:{code}" if code else "its own projection"


def _part(content: dict[str, Any], name: str) -> dict[str, Any]:
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _sources(build: dict[str, Any], use: str | None) -> str:
    sources = build.get("sources")
    if not isinstance(sources, list):
        return ""
    known = [one for one in sources if isinstance(one, dict)]
    return ", ".join(str(one.get("product", "")) for one in known if one.get("use") == use)


def _predictors(recipe: dict[str, Any], run: Run) -> str:
    names = recipe.get("predictors")
    if not isinstance(names, list):
        return ""
    # where a place lies is a feature that no recipe lists
    place = [row.predictor for row in run.importances if row.predictor in POSITION]
    return ", ".join(str(name).replace("_", " ") for name in [*names, *sorted(set(place))])


def _method(recipe: dict[str, Any], method: dict[str, Any]) -> str:
    parts = [_words(method.get("kind", "")), _words(method.get("model", ""))]
    inner = method.get("of")
    if isinstance(inner, list):
        methods = _part(recipe, "methods")
        titles = [str(_part(methods, str(name)).get("title", name)) for name in inner]
        parts.append("of " + " and ".join(f"“{title}”" for title in titles))
    return " ".join(part for part in parts if part)


def _hold(recipe: dict[str, Any]) -> str:
    scheme = _part(recipe, "hold").get("scheme")
    if scheme is None:
        return ""
    words = f"a part of the coarse field, drawn by {_words(scheme)}"
    return f"{words} — optimistic" if scheme == "random" else f"{words}, in blocks"


def _fuse(recipe: dict[str, Any]) -> str:
    filling = _part(recipe, "fuse")
    if not filling:
        return ""
    how = filling.get("method", "auto")
    words = "the best of several on hidden values" if how == "auto" else _words(how)
    return f"filled with {_words(filling.get('model', 'a land model'))}, by {words}"


def _level(recipe: dict[str, Any]) -> str:
    level = _part(recipe, "intervals").get("level")
    if not isinstance(level, int | float) or not np.isfinite(level):
        return ""
    return f"of {100 * level:.3g} %"


def _words(name: object) -> str:
    return str(name).replace("_", " ")
