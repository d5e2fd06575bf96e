"""The chapter of stations: what is told, and its plates."""

from __future__ import annotations

from typing import Any

from vadose.report import series_charts, station_charts
from vadose.report.chapters import Chapter
from vadose.report.judged import Judged
from vadose.report.notes import other_warnings
from vadose.report.plates import Plate
from vadose.report.runs import Run
from vadose.report.series import Series, read_series, series_table, taylor_points
from vadose.report.stations import COLUMNS, tell_stations, used_stations

#: Dates from which on a series is drawn.
FEWEST_DATES = 3


def stations(run: Run, judged: Judged | None) -> Chapter:
    """Tell of the scores at stations."""
    if judged is None or not judged.has_stations:
        return Chapter({"stations": None})
    series = read_series(judged)
    told: dict[str, Any] = {
        "stations": tell_stations(judged, told_already=other_warnings(run)),
        "why_no_series": why_no_series(series),
        "marks_origin": series is not None and "origin" in series.pairs,
        "has_interval": series is not None and "lower" in series.pairs,
        "has_rain": series is not None and series.rain is not None,
    }
    plates = [*_over_stations(run, judged), *_over_strata(run, judged)]
    if series is not None:
        plates += _at_stations(run, judged, series)
    return Chapter(told, tuple(plates))


def why_no_series(series: Series | None) -> str:
    """Say why no series are drawn; nothing where they are."""
    if series is None:
        return (
            "validation/series.nc is not there, or has none of the stations that were scored. "
            "vadose validate writes it."
        )
    dates = series.pairs.sizes["time"]
    if dates < FEWEST_DATES:
        return f"{dates} date{'s' if dates > 1 else ''} make none."
    return ""


def _over_stations(run: Run, judged: Judged) -> list[Plate]:
    unit, name = run.scores.unit, judged.summary.publish
    titles = {key: judged.title(key) for key in judged.summary.views["values"]}
    table = judged.table("stations", COLUMNS)
    own = used_stations(judged, name)
    if table is None or own is None:
        return []
    used = table[(table["view"] == "values") & table["station"].isin(set(own["station"]))]
    plates = [
        Plate(
            "boxes",
            lambda: station_charts.boxes(used, titles, name, unit=unit),
            f"Box plots over {len(own)} stations of R, ubRMSE, bias and RMSE of every product.",
            lambda: used,
        )
    ]
    if {"lon", "lat"} <= set(own.columns):
        gains = judged.table("gains", ("view", "baseline", "product", "station", "delta_ubrmse"))
        places = own[["station", "lon", "lat"]].drop_duplicates("station")
        if gains is not None and name != "nearest":
            is_own = (gains["view"] == "values") & (gains["baseline"] == "nearest")
            gain = gains[is_own & (gains["product"] == name)].drop_duplicates("station")
            by_name = gain.set_index("station")["delta_ubrmse"]
            places = places.assign(gain=by_name.reindex(places["station"]).to_numpy("f8"))
            plates.append(
                Plate(
                    "station_map",
                    lambda: station_charts.station_map(places, run.fine_grid, unit=unit),
                    "Map of the stations, coloured by the gain in ubRMSE over the coarse value.",
                    lambda: places,
                )
            )
    return plates


def _over_strata(run: Run, judged: Judged) -> list[Plate]:
    unit, name = run.scores.unit, judged.summary.publish
    titles = {key: judged.title(key) for key in judged.summary.views["values"]}
    plates = []
    strata = judged.table("strata", ("label", "stratum", "product", "view", "r", "ubrmse", "bias"))
    if strata is not None:
        kept = strata[strata["product"].isin(["nearest", "smooth", name])]
        season = kept[kept["label"] == "season"]
        told = season[(season["view"] == "median") & season["ubrmse"].notna()]
        if told["stratum"].nunique() > 1:
            plates.append(
                Plate(
                    "seasons",
                    lambda: station_charts.seasons(season, "season", titles, name, unit=unit),
                    "Median R, ubRMSE and bias over stations in every season, with quartiles.",
                    lambda: season,
                )
            )
    daily = judged.table("daily", ("product", "time", "r", "rmse", "ubrmse", "bias"))
    if daily is not None and daily["rmse"].notna().any() and daily["time"].nunique() > 2:
        plates += [
            Plate(
                "daily",
                lambda: station_charts.daily_lines(daily, titles, name, unit=unit),
                "R, ubRMSE and bias over the stations on every day, of the product and the coarse value.",
                lambda: daily[daily["product"].isin(["nearest", name])],
            ),
            Plate(
                "daily_boxes",
                lambda: station_charts.boxes(daily, titles, name, unit=unit),
                "Box plots of the daily R, ubRMSE, bias and RMSE of every product.",
                lambda: daily,
            ),
        ]
    return plates


def _at_stations(run: Run, judged: Judged, series: Series) -> list[Plate]:
    unit, name = run.scores.unit, judged.summary.publish
    titles = {key: judged.title(key) for key in judged.summary.views["values"]}
    others = tuple(key for key in titles if key not in run.scores.methods)
    points = taylor_points(series)
    plates = [
        Plate(
            "taylor",
            lambda: station_charts.taylor(points, titles, name),
            "Taylor diagram: correlation with the stations and standard deviation over theirs, medians of "
            "every product and single stations of the published one.",
            lambda: points,
        )
    ]
    if not why_no_series(series):
        names = ", ".join(series.drawn)
        plates += [
            Plate(
                "series",
                lambda: series_charts.time_series(series, titles, name, unit=unit, others=others),
                f"Series at the stations {names}: measured, product, coarse value"
                + "".join(f", {titles[other]}" for other in others)
                + (", with bars of precipitation." if series.rain is not None else "."),
                lambda: series_table(series),
            ),
            Plate(
                "agreement",
                lambda: series_charts.agreement(series, titles, name, unit=unit, others=others),
                f"Product against reading, and cumulative distributions, at the stations {names}.",
                lambda: series_table(series),
            ),
        ]
    return plates
