"""Lay out what was found out about a model: rows for tables, and words for the comparison of scales."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vadose.validate.effects import Effect
from vadose.validate.scales import compare_scales, verdict
from vadose.validate.sensitivity import Sensitivity

Rows = list[dict[str, Any]]


def notes_on(layers: Sequence[str]) -> list[str]:
    """Say what the numbers are of, where that is not the target alone.

    Examples
    --------
    >>> notes_on(["soil_moisture"])
    []
    """
    if len(layers) < 2:
        return []
    words = " and ".join(layer.replace("_", " ") for layer in layers)
    return [f"The model gives {words}, and all numbers are of them together."]


def sensitivity_rows(scale: str, found: Sensitivity) -> Rows:
    """Give a row per group, with intervals."""
    first, total = found.first_interval, found.total_interval
    return [
        {
            "scale": scale,
            "group": group,
            "first": found.first[row],
            "first_lower": first[0][row],
            "first_upper": first[1][row],
            "total": found.total[row],
            "total_lower": total[0][row],
            "total_upper": total[1][row],
            "mean_effect": found.mean_effect[row],
            "spread_of_effect": found.spread_of_effect[row],
        }
        for row, group in enumerate(found.groups)
    ]


def comparison_of(
    learned: str, used: str, before: Sensitivity, after: Sensitivity
) -> dict[str, Any]:
    """Compare two scales, named in words, and say what was found."""
    comparison = compare_scales(before, after)
    return {
        "learned": learned,
        "used": used,
        "rank_correlation": comparison.rank_correlation,
        "largest": comparison.largest.group,
        "verdict": verdict(comparison, learned=learned, used=used),
        "changes": [
            {
                "group": one.group,
                "before": one.before,
                "after": one.after,
                "lower": one.lower,
                "upper": one.upper,
                "answer": one.answer,
            }
            for one in comparison.changes
        ],
    }


def curve_of(scale: str, feature: str, curve: Effect) -> dict[str, Any]:
    """Give a curve as lists."""
    return {
        "scale": scale,
        "feature": feature,
        "method": curve.method,
        "value": curve.value.tolist(),
        "effect": curve.effect.tolist(),
        "count": curve.count.tolist(),
    }


def points_of(curves: Rows) -> Rows:
    """Give a row per point of the curves."""
    return [
        {**{key: one[key] for key in ("scale", "feature", "method")}, **point}
        for one in curves
        for point in (
            {"value": value, "effect": effect, "count": count}
            for value, effect, count in zip(one["value"], one["effect"], one["count"], strict=True)
        )
    ]


def table_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Lay rows with the same keys out as CSV; what is undefined is empty."""
    text = io.StringIO()
    table = list(rows)
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: "" if isinstance(one, float) and math.isnan(one) else one for key, one in row.items()}
        for row in table
    )
    return text.getvalue()
