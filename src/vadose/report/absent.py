"""What a report does not show, and why: a reader who misses a figure is told what would make it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from vadose.report.runs import Run


def tell_absent(
    run: Run, pictures: Collection[str], told: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """List what the report does not show, with the reason, in the order of its sections.

    Parameters
    ----------
    pictures
        Names of the figures that were drawn.
    told
        What the sections were told, by name in the template; what is None or empty is not there.
    """
    dates = run.product.sizes.get("time", 1)
    one_date = "The run has one date." if dates == 1 else ""
    by_stations = told.get("stations") is not None
    rows = [
        ("Other dates", "dates" in pictures, one_date or "No other date has a value."),
        ("The day with most gaps", "gaps" in pictures, one_date or "The coarse input has no gaps."),
        ("Filling of gaps", told.get("fusion"), "The recipe asks for none (fuse:)."),
        (
            "Sensitivity, shuffled importance",
            told.get("explained"),
            "vadose explain RUN makes them.",
        ),
        (
            "Scores of all methods",
            run.is_scored,
            "Neither a truth was withheld nor stations given.",
        ),
        (
            "Scores by condition of the ground",
            told.get("ground") or run.truth is None,
            "No predictor tells of frost, snow or ice.",
        ),
        (
            "Product against truth",
            "scatter" in pictures,
            "No truth was withheld (withhold: true in build:, where the target is finer than wanted).",
        ),
        (
            "Scatter of training, validation and test",
            "fit_scatter" in pictures,
            "The recipe keeps nothing from learning (hold:)."
            if run.held is None
            else "No method gives the coarse target itself.",
        ),
        (
            "Distribution of daily scores",
            {"daily_boxes", "fit_daily"} & set(pictures),
            one_date or "There are stations on too few dates, and nothing was kept from learning.",
        ),
        ("Stations", by_stations, "None judged this run: vadose validate RUN --stations PATH."),
        *(_of_stations(pictures, told) if by_stations else ()),
        (
            "Correction with stations",
            told.get("correction"),
            "The recipe asks for none (correct:), or vadose correct has not run.",
        ),
        ("Width of intervals", "widths" in pictures, "The recipe asks for none (intervals:)."),
        (
            "Area of applicability",
            "applicability" in pictures,
            "The recipe does not ask for it (applicability: true).",
        ),
        (
            "Three-cornered hat",
            told.get("hat"),
            "Three methods or more are compared by vadose validate RUN --hat A --hat B --hat C.",
        ),
        ("Seams and resolution", told.get("checks"), "vadose validate RUN looks for them."),
        (
            "How the sources came onto the grids",
            told.get("alignment"),
            "The run holds no record of it: its sources came on their grid already, or before it was kept.",
        ),
    ]
    return [(name, why) for name, is_there, why in rows if not is_there]


def _of_stations(pictures: Collection[str], told: Mapping[str, Any]) -> list[tuple[str, bool, str]]:
    """List the parts of the section of stations; series have their own line there."""
    has_rain = "series" not in pictures or bool(told.get("has_rain"))
    return [
        (
            "Map of gains at stations",
            "station_map" in pictures,
            "The coarse value is published itself.",
        ),
        (
            "Seasons at stations",
            "seasons" in pictures,
            "No two seasons have enough pairs at a station.",
        ),
        (
            "Bars of precipitation",
            has_rain,
            "Precipitation is not among the run's predictors.",
        ),
    ]
