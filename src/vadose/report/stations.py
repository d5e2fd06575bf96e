"""The verdict of the stations, in words and tables: medians with intervals, every station, and strata."""

from __future__ import annotations

import re
from calendar import month_name
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vadose.report.judged import GainOver, Judged, Spread, is_true
from vadose.report.runs import NAN
from vadose.report.tables import Cell, number, signed, whole

#: Columns of ``stations.csv`` that are told.
COLUMNS = ("view", "product", "station", "n", "r", "bias", "rmse", "ubrmse", "is_used")
#: Stations that stand on the page; the table in the folder has all.
MOST_STATIONS = 60
#: Stations below which medians over them are no base for a claim.
FEW_STATIONS = 10
VIEWS = {
    "values": "Values",
    "anomalies_35_days": "Anomalies from the mean of 35 days",
    "anomalies_climatology": "Anomalies from the mean season",
}
#: What strata are called.
LABELS = {
    "season": "Season",
    "month": "Month",
    "year": "Year",
    "wetness": "Wetness of the soil",
    "network": "Network",
    "land_cover": "Land cover",
    "soil_texture": "Soil texture",
    "climate_class": "Climate",
    "elevation": "Elevation",
    "origin": "Origin of the value",
}


@dataclass(frozen=True)
class Line:
    """Hold one row of a table: its name, its cells, and what is to be said of it."""

    name: str
    cells: tuple[Cell, ...]
    kind: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Group:
    """Hold rows that belong together."""

    title: str
    rows: tuple[Line, ...]


@dataclass(frozen=True)
class Told:
    """Hold the words and tables of the section."""

    verdict: str
    tone: str
    facts: tuple[tuple[str, str], ...]
    views: tuple[Group, ...]
    networks: tuple[Group, ...]
    strata: tuple[Group, ...]
    left_out: int
    level: str
    warnings: tuple[str, ...]


def tell_stations(judged: Judged, *, told_already: Sequence[str] = ()) -> Told:
    """Tell of the scores at stations.

    Parameters
    ----------
    told_already
        Notes that stand elsewhere on the page.

    Raises
    ------
    FileProblem
        When a table of the validation cannot be read.
    """
    summary = judged.summary
    networks, left = _networks(judged)
    nearest = summary.gains.get("nearest")
    gain = _gain_of(judged, summary.publish)
    tone = "" if gain is None else "better" if gain.lower > 0 else "worse" if gain.upper < 0 else ""
    return Told(
        verdict=re.sub(r"(?<=[ (])-(?=\d)", "−", summary.verdict),
        tone=tone,
        facts=_facts(judged, nearest.interval if nearest is not None else ""),
        views=tuple(_views(judged)),
        networks=networks,
        strata=tuple(_strata(judged)),
        left_out=left,
        level=f"{100 * summary.level:.3g} %",
        warnings=tuple(one for one in _warnings(judged) if one not in told_already),
    )


def _facts(judged: Judged, interval: str) -> tuple[tuple[str, str], ...]:
    summary = judged.summary
    lost = {
        reason: count for reason, count in summary.lost.get(summary.publish, {}).items() if count
    }
    ways = {part.split(": ", 1)[-1] for part in summary.matching.get("space", "").split("; ")}
    space = _space(ways.pop()) if len(ways) == 1 else summary.matching.get("space", "")
    facts = [
        ("Stations", f"{summary.stations} ({summary.selection})"),
        ("Pairs", f"{whole(summary.pairs)} over {whole(summary.stamps)} dates"),
        ("A station is compared with", space),
        (
            "Stamps lost",
            ", ".join(f"{reason} {whole(count)}" for reason, count in lost.items()) or "none",
        ),
    ]
    if summary.stations_not_used:
        facts.append(("Stations with pairs, too few of them", _names(summary.stations_not_used)))
    if summary.stations_that_do_not_vary:
        facts.append(
            ("Stations whose readings do not vary", _names(summary.stations_that_do_not_vary))
        )
    if interval:
        facts.append(("Intervals over stations", interval))
    return tuple((name, value) for name, value in facts if value)


def _names(names: list[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _space(way: str) -> str:
    return {
        "ContainingCell()": "the cell of the product that contains it",
    }.get(way, way)


def _warnings(judged: Judged) -> list[str]:
    summary = judged.summary
    found = list(dict.fromkeys(summary.notes))
    if summary.stations < FEW_STATIONS:
        found.insert(
            0,
            f"Only {summary.stations} station{'s' if summary.stations != 1 else ''}: medians over so few, and "
            "their intervals, are no base for a claim.",
        )
    return found


def _gain_of(judged: Judged, name: str, metric: str = "delta_ubrmse") -> GainOver | None:
    gains = judged.summary.gains.get("nearest")
    if gains is None or name not in gains.products or name == "nearest":
        return None
    return gains.products[name].get(metric)


def _views(judged: Judged) -> list[Group]:
    groups = []
    for view, products in judged.summary.views.items():
        rows = []
        for name, row in products.items():
            spreads = {
                key: Spread.model_validate(row[key])
                for key in ("r", "ubrmse", "rmse", "bias")
                if key in row
            }
            cells = [_spread_cell(spreads.get("r"), 3)]
            cells += [_spread_cell(spreads.get(key), 4) for key in ("ubrmse", "rmse")]
            cells.append(_spread_cell(spreads.get("bias"), 4, with_sign=True))
            gain = _gain_of(judged, name) if view == "values" else None
            cells.append(_gain_cell(gain))
            better = (
                f"{100 * gain.share_better:.0f} %"
                if gain and np.isfinite(gain.share_better)
                else ""
            )
            cells.append(Cell(better or "–"))
            kind = "baseline" if name in ("nearest", "smooth") else ""
            kind = "best" if name == judged.summary.publish else kind
            undefined = spreads["r"].undefined if "r" in spreads else 0
            remark = _undefined(undefined, gain)
            rows.append(Line(judged.title(name), tuple(cells), kind, remark))
        groups.append(Group(VIEWS.get(view, view.replace("_", " ")), tuple(rows)))
    return groups


def _undefined(count: int, gain: GainOver | None) -> str:
    """Say where a product does not vary: R is counted as 0 there, and where that is most of them nothing is gained."""
    if not count:
        return ""
    if gain is not None and not np.isfinite(gain.median):
        return f"does not vary at {count}: no gain is told"
    return f"R undefined at {count}, counted as 0"


def _spread_cell(spread: Spread | None, digits: int, *, with_sign: bool = False) -> Cell:
    if spread is None:
        return Cell("–")
    note = ""
    if np.isfinite(spread.lower_quartile):
        note = f"{number(spread.lower_quartile, digits)} to {number(spread.upper_quartile, digits)}"
    return Cell(number(spread.median, digits, signed=with_sign), note=note)


def _gain_cell(gain: GainOver | None) -> Cell:
    if gain is None or not np.isfinite(gain.median):
        return Cell("–")
    note = "too few for an interval"
    tone = ""
    if np.isfinite(gain.lower):
        note = f"{signed(gain.lower)} to {signed(gain.upper)}"
        tone = "better" if gain.lower > 0 else "worse" if gain.upper < 0 else ""
    return Cell(signed(gain.median), tone=tone, note=note)


def used_stations(judged: Judged, product: str, view: str = "values") -> pd.DataFrame | None:
    """Give the rows of ``stations.csv`` of one product, of the stations that stand in the medians."""
    table = judged.table("stations", COLUMNS)
    if table is None:
        return None
    rows = table[
        (table["view"] == view) & (table["product"] == product) & is_true(table["is_used"])
    ]
    return rows if len(rows) else None


def _networks(judged: Judged) -> tuple[tuple[Group, ...], int]:
    """Give a row per station of the published product, by network, and how many are left out."""
    name = judged.summary.publish
    rows = used_stations(judged, name)
    if rows is None:
        return (), 0
    gains = judged.table("gains", ("view", "baseline", "product", "station", "delta_ubrmse"))
    own = pd.DataFrame()
    if gains is not None:
        is_own = (gains["view"] == "values") & (gains["product"] == name)
        own = gains[is_own & (gains["baseline"] == "nearest")].set_index("station")
    rows = rows.assign(network=rows["network"].fillna("") if "network" in rows else "")
    rows = rows.sort_values(["network", "station"])
    groups = []
    for network, part in rows.head(MOST_STATIONS).groupby("network", sort=True):
        whole_part = rows[rows["network"] == network]
        medians = whole_part[["r", "bias", "rmse", "ubrmse"]].median()
        lines = [_station_line(row, own) for _, row in part.iterrows()]
        if len(whole_part) > 1:
            gain = own.reindex(whole_part["station"])["delta_ubrmse"].median() if len(own) else NAN
            lines.append(
                Line(
                    f"median of {len(whole_part)} stations",
                    (
                        Cell(""),
                        Cell(number(medians["r"], 3)),
                        Cell(number(medians["ubrmse"], 4)),
                        Cell(number(medians["rmse"], 4)),
                        Cell(number(medians["bias"], 4, signed=True)),
                        Cell(number(gain, 4, signed=True)),
                    ),
                    "baseline",
                )
            )
        groups.append(Group(str(network) or "No network", tuple(lines)))
    return tuple(groups), max(len(rows) - MOST_STATIONS, 0)


def _station_line(row: pd.Series, gains: pd.DataFrame) -> Line:
    short = [
        metric
        for metric in ("r", "ubrmse", "bias")
        if str(row.get(f"{metric}_is_too_short", False)).lower() == "true"
    ]
    cells = [
        Cell(whole(row["n"])),
        Cell(number(row["r"], 3), note=_ends(row, "r", 2)),
        Cell(number(row["ubrmse"], 4), note=_ends(row, "ubrmse", 3)),
        Cell(number(row["rmse"], 4)),
        Cell(number(row["bias"], 4, signed=True), note=_ends(row, "bias", 3)),
    ]
    cell = Cell("–")
    if row["station"] in gains.index:
        gain = gains.loc[row["station"]]
        gain = gain.iloc[0] if isinstance(gain, pd.DataFrame) else gain
        low, high = gain.get("delta_ubrmse_lower", NAN), gain.get("delta_ubrmse_upper", NAN)
        tone = "better" if low > 0 else "worse" if high < 0 else ""
        cell = Cell(
            number(gain["delta_ubrmse"], 4, signed=True),
            tone=tone,
            note=_ends(gain, "delta_ubrmse", 3),
        )
    remark = f"too short for an interval that holds: {', '.join(short)}" if short else ""
    return Line(str(row["station"]), (*cells, cell), remark=remark)


def _ends(row: pd.Series, metric: str, digits: int) -> str:
    low, high = row.get(f"{metric}_lower", NAN), row.get(f"{metric}_upper", NAN)
    if not (np.isfinite(low) and np.isfinite(high)):
        return ""
    return f"{number(low, digits)} to {number(high, digits)}"


def _strata(judged: Judged) -> list[Group]:
    """Lay the published product beside the coarse value for every stratum."""
    needed = ("label", "product", "stratum", "view", "n", "stations", "r", "ubrmse", "bias")
    table = judged.table("strata", needed)
    if table is None:
        return []
    table = table[table["view"] == "median"]
    groups = []
    for label, part in table.groupby("label", sort=False):
        if part["stratum"].nunique() < 2:
            continue
        rows = []
        own = part[part["product"] == judged.summary.publish].set_index("stratum")
        base = part[part["product"] == "nearest"].set_index("stratum")
        for stratum, row in zip(map(str, own.index), own.to_dict("records"), strict=True):
            if not row["stations"] > 0:
                continue
            other = base.loc[stratum].to_dict() if stratum in base.index else None
            is_small = str(row.get("is_small", False)).lower() == "true"
            gain = NAN if other is None else other["ubrmse"] - row["ubrmse"]
            cells = (
                Cell(whole(row["stations"])),
                Cell(whole(row["n"])),
                Cell(number(row["r"], 3)),
                Cell(number(NAN if other is None else other["r"], 3)),
                Cell(number(row["ubrmse"], 4)),
                Cell(number(NAN if other is None else other["ubrmse"], 4)),
                Cell(number(gain, 4, signed=True)),
                Cell(number(row["bias"], 4, signed=True)),
            )
            remark = "small: no base for a claim" if is_small else ""
            rows.append(Line(_stratum_words(str(label), stratum), cells, remark=remark))
        if rows:
            words = str(label).replace("_", " ")
            groups.append(Group(LABELS.get(str(label), words.capitalize()), tuple(rows)))
    return groups


def _stratum_words(label: str, stratum: str) -> str:
    """Name a stratum; a month by its name, not by its number."""
    if label == "month" and stratum.isdigit() and 1 <= int(stratum) <= 12:
        return month_name[int(stratum)]
    return stratum.replace("_", " ")
