"""The score table and its kin as rows of formatted text, ready for a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from vadose.report.runs import Held, Input, Provenance, Scores
from vadose.report.style import WITHOUT_VALUE
from vadose.schema import ORIGIN

if TYPE_CHECKING:
    from vadose.report.standing import Standing, Standings

NONE = "–"

#: Relative difference in RMSE below which two methods are called equal.
EQUAL = 0.005


@dataclass(frozen=True)
class Cell:
    """Hold the text of one table cell.

    Attributes
    ----------
    tone
        ``better``, ``worse`` or empty.
    note
        Small text after it.
    is_best
        Whether it is the best of its column.
    """

    text: str
    tone: str = ""
    note: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class Row:
    """Hold one method of the score table."""

    name: str
    title: str
    is_baseline: bool
    is_best: bool
    is_published: bool
    remark: str
    cells: tuple[Cell, ...]


#: Heads of the score table after the method's name.
SCORE_HEADS = (
    "RMSE",
    "against nearest",
    "against smooth",
    "ubRMSE",
    "bias",
    "r",
    "r inside cells",
    "closure, largest",
)


def score_order(scores: Scores) -> list[str]:
    """Give the methods in reading order: baselines as they stand, then the others by RMSE.

    The worst stay in the table: they tell what the best is worth.
    """
    baselines = [name for name, method in scores.methods.items() if method.is_baseline]
    others = [name for name in scores.methods if name not in baselines]

    def rank(name: str) -> float:
        rmse = scores.methods[name].pooled.rmse
        return rmse if np.isfinite(rmse) else np.inf

    return baselines + sorted(others, key=rank)


def score_rows(scores: Scores, published: str, standings: Standings) -> list[Row]:
    """Give the rows of the score table in reading order.

    Parameters
    ----------
    standings
        How every method stands to the baselines, see `vadose.report.standing.standings`.
    """
    names = score_order(scores)
    best_rmse = _best([scores.methods[name].pooled.rmse for name in names], min)
    best_r = _best([scores.methods[name].pooled.r for name in names], max)
    best_inside = _best([scores.methods[name].within_cell.r for name in names], max)
    rows = []
    for name in names:
        method = scores.methods[name]
        pooled, inside = method.pooled, method.within_cell
        cells = (
            Cell(number(pooled.rmse, 4), is_best=pooled.rmse == best_rmse),
            _gain_cell(scores, name, "nearest", standings),
            _gain_cell(scores, name, "smooth", standings),
            Cell(number(pooled.ubrmse, 4)),
            Cell(number(pooled.bias, 4, signed=True)),
            Cell(number(pooled.r, 3), is_best=pooled.r == best_r),
            Cell(number(inside.r, 3), is_best=inside.r == best_inside),
            Cell(small(method.closure_max)),
        )
        rows.append(
            Row(
                name=name,
                title=method.title,
                is_baseline=method.is_baseline,
                is_best=name == scores.best,
                is_published=name == published,
                remark="" if method.is_baseline else _remark(standings[name].get("nearest")),
                cells=cells,
            )
        )
    return rows


def _remark(standing: Standing | None) -> str:
    """Say in short how a method stands to the copied coarse value."""
    if standing is None:
        return ""
    where = " at stations" if standing.metric == "ubRMSE" else ""
    if standing.kind == "worse":
        return f"worse than doing nothing{where}"
    if standing.kind == "same":
        return f"not shown to differ from nearest{where}"
    return standing.why


def _gain_cell(scores: Scores, name: str, baseline: str, standings: Standings) -> Cell:
    """Write the gain in RMSE over a baseline, with its share of the baseline's RMSE, and its interval."""
    standing = standings[name].get(baseline)
    if standing is None:
        return Cell(NONE)
    method, base = scores.methods[name], scores.methods[baseline].pooled.rmse
    over = method.gain_over_nearest if baseline == "nearest" else method.gain_over_smooth
    if not np.isfinite(over.rmse):
        return Cell(NONE)
    # at stations another error decides, whose interval stands in the section of stations
    is_decided_here = standing.metric == "RMSE"
    tone = standing.kind if is_decided_here and standing.kind in ("better", "worse") else ""
    note = change(method.pooled.rmse, base)
    if is_decided_here and standing.has_interval:
        note += f"\n{signed(standing.lower)} to {signed(standing.upper)}"
    return Cell(number(over.rmse, 4, signed=True), tone=tone, note=note)


def change(error: float, base: float) -> str:
    r"""Say how an error compares with that of a baseline: one way of saying it, everywhere.

    Examples
    --------
    >>> change(0.0229, 0.0253), change(0.0903, 0.089), change(0.1, 0.1)
    ('9\xa0% lower', '1\xa0% higher', 'the same')
    """
    if not np.isfinite([error, base]).all() or base <= 0:
        return ""
    share = 100 * abs(base - error) / base
    if share < 0.05:
        return "the same"
    words = f"{share:.0f}" if share >= 0.95 else f"{share:.1f}"
    return f"{words}\N{NO-BREAK SPACE}% {'lower' if error < base else 'higher'}"


@dataclass(frozen=True)
class HeldRow:
    """One part of the coarse cube, as one method gives one layer of it."""

    title: str
    layer: str
    part: str
    cells: tuple[str, ...]


def held_rows(held: Held) -> list[HeldRow]:
    """Lay out the scores against the coarse target: R, RMSE, ubRMSE, bias, number of values."""
    names = {
        "train": "learned from",
        "validation": "kept for choosing",
        "test": "kept for judging",
    }
    return [
        HeldRow(
            title=method.title,
            layer=layer.replace("_", " "),
            part=names.get(part, part),
            cells=(
                number(own.r, 3),
                number(own.rmse, 4),
                number(own.ubrmse, 4),
                number(own.bias, 4, signed=True),
                whole(own.n),
            ),
        )
        for method in held.methods.values()
        for layer, parts in method.layers.items()
        for part, own in parts.items()
        if own.n > 0
    ]


@dataclass(frozen=True)
class OriginRow:
    """Hold how many values have one origin."""

    meaning: str
    count: str
    share: str


def origin_rows(origin: npt.NDArray[np.integer]) -> list[OriginRow]:
    """Count the cells of each origin; shares are of the cells that have a value.

    Examples
    --------
    >>> [row.share for row in origin_rows(np.array([0, 2, 2, 3, 5]))]
    ['', '66.7 %', '33.3 %', '']
    """
    without_value = [ORIGIN.code(meaning) for meaning in WITHOUT_VALUE]
    valued = int(np.count_nonzero(~np.isin(origin, without_value)))
    rows = []
    for meaning in ORIGIN.meanings:
        count = int(np.count_nonzero(origin == ORIGIN.code(meaning)))
        if count:
            share = f"{100 * count / valued:.1f} %" if meaning not in WITHOUT_VALUE else ""
            rows.append(OriginRow(meaning, whole(count), share))
    return rows


def cell_size(grid: GeoBox) -> str:
    r"""Write the size of a grid's cells.

    Examples
    --------
    >>> from vadose.grids import latlon, named_grid
    >>> cell_size(latlon(0.25)), cell_size(named_grid("EASE2_9km"))  # which has 9.008 km
    ('0.25°', '9\xa0km')
    >>> cell_size(latlon(1 / 120, (0, 40, 1, 41)))
    '1/120°'
    """
    step = abs(grid.affine.a)
    if grid.crs is not None and grid.crs.geographic:
        decimal = f"{step:.4g}"
        parts = round(1 / step)
        is_part = parts > 1 and abs(step * parts - 1) < 1e-6
        is_exact = abs(float(decimal) / step - 1) < 1e-6
        return f"1/{parts}°" if is_part and not is_exact else f"{decimal}°"
    return length(step)


def length(metres: float) -> str:
    r"""Write a length in km or m.

    Examples
    --------
    >>> length(9008.055), length(1500.0), length(50.0)
    ('9\xa0km', '1.5\xa0km', '50\xa0m')
    """
    size, unit = (metres / 1000, "km") if metres >= 999.5 else (metres, "m")
    whole_size = round(size)
    is_whole = whole_size > 0 and abs(size / whole_size - 1) < 0.002
    return f"{whole_size if is_whole else size:.4g}\N{NO-BREAK SPACE}{unit}"


@dataclass(frozen=True)
class InputRow:
    """Hold inputs of one licence and citation: the first by name, and how many more there are."""

    shown: tuple[Input, ...]
    more: int
    licence: str
    citation: str


def input_rows(inputs: Sequence[Input], most: int = 4) -> list[InputRow]:
    """Put inputs of one licence and citation together: a record of many days would fill pages.

    Examples
    --------
    >>> days = [Input(name=f"day_{day}.nc", licence="CC0") for day in range(9)]
    >>> [(row.shown[0].name, row.more) for row in input_rows(days)]
    [('day_0.nc', 5)]
    """
    groups: dict[tuple[str, str], list[Input]] = {}
    for one in inputs:
        groups.setdefault((one.licence, one.citation), []).append(one)
    return [
        InputRow(tuple(part[:most]), max(len(part) - most, 0), *key) for key, part in groups.items()
    ]


def made_rows(manifest: Provenance) -> list[tuple[str, str]]:
    """Give what repeats a run, as pairs of name and value; what is unknown is left out."""
    libraries = ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())
    pairs = [
        ("vadose", " at commit ".join(filter(None, [manifest.vadose, manifest.commit or ""]))),
        ("Started", manifest.started),
        ("Took", duration(manifest.seconds)),
        ("Seed", "" if manifest.seed is None else str(manifest.seed)),
        ("Python", manifest.python),
        ("Platform", manifest.platform),
        ("Libraries", libraries),
    ]
    return [(name, value) for name, value in pairs if value]


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """Write a number with this many decimals and a true minus sign; a dash for NaN.

    Examples
    --------
    >>> number(-0.01234, 4), number(0.2, 2, signed=True), number(float("nan"), 2)
    ('−0.0123', '+0.20', '–')
    """
    if not np.isfinite(value):
        return NONE
    rounded = round(value, digits) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 4) -> str:
    """Write a number with its sign, and with as many digits as keep it from looking like zero.

    Examples
    --------
    >>> signed(-0.0018), signed(-0.00003), signed(0.0)
    ('−0.0018', '−0.00003', '0.0000')
    """
    while value and np.isfinite(value) and digits < 8 and round(value, digits) == 0:
        digits += 1
    return number(value, digits, signed=True)


def small(value: float) -> str:
    """Write a number that may be tiny.

    Examples
    --------
    >>> small(0.0042), small(3.2e-8)
    ('0.0042', '3 × 10⁻⁸')
    """
    if not np.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if abs(value) >= 1e-4:
        return number(value, 4)
    digits, exponent = f"{value:.0e}".split("e")
    power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits} × 10{power}".replace("-", "−")


def percent(share: float) -> str:
    """Write a share as a signed percentage.

    Examples
    --------
    >>> percent(0.125), percent(-0.3)
    ('+12 %', '−30 %')
    """
    return f"{number(100 * share, 0, signed=True)} %" if np.isfinite(share) else ""


def whole(value: float) -> str:
    """Write a count with thin spaces between thousands."""
    return f"{int(value):,}".replace(",", "\u2009") if np.isfinite(value) else NONE


def duration(seconds: float) -> str:
    """Write seconds in words.

    Examples
    --------
    >>> duration(83.4), duration(7384)
    ('83 s', '2 h 3 min')
    """
    if not np.isfinite(seconds):
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _best(values: list[float], choose: Callable[[list[float]], float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return choose(finite) if finite else float("nan")
