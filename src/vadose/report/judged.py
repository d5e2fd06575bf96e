"""What ``validation/`` of a run holds: its summary, and its tables, read when a section asks for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from vadose.errors import FileProblem
from vadose.report.runs import NAN, Number, Record, Run, read_record


class Spread(Record):
    """Hold the median and the quartiles of one metric over stations."""

    median: Number = NAN
    lower_quartile: Number = NAN
    upper_quartile: Number = NAN
    undefined: int = 0


class GainOver(Record):
    """Hold a gain over stations with its interval."""

    median: Number = NAN
    lower: Number = NAN
    upper: Number = NAN
    share_better: Number = NAN


class Gains(Record):
    """Hold the gains of all products over one baseline."""

    stations: int = 0
    groups: int = 0
    interval: str = ""
    do_not_vary: list[str] = Field(default=[])
    products: dict[str, dict[str, GainOver]] = Field(default={})


class GapRow(Record):
    """Hold how well gaps of one length were filled by one product."""

    product: str
    gap_steps: Number = NAN
    n: Number = NAN
    r: Number = NAN
    rmse: Number = NAN
    ubrmse: Number = NAN
    bias: Number = NAN
    is_small: bool = False


class HatMethod(Record):
    """Hold the median error of one method after a three-cornered hat."""

    error_sd: Number = NAN
    relative_uncertainty: Number = NAN


class Hat(Record):
    """Hold what a three-cornered hat told, and what it cannot tell."""

    warning: str
    methods: dict[str, HatMethod] = Field(default={})
    constrained_share: Number = NAN
    too_few_share: Number = NAN


class CoverageRow(Record):
    """Hold how many of the values held out lie inside their intervals."""

    kind: str = ""
    label: str = ""
    points: Number = NAN
    blocks: Number = NAN
    coverage: Number = NAN
    standard_error: Number = NAN
    width: Number = NAN


class Covered(Record):
    """Hold the check of the product's intervals."""

    source: str
    level: float
    coverage: list[CoverageRow] = Field(default=[])


class Summary(Record):
    """Hold ``validation/summary.json``."""

    publish: str = ""
    titles: dict[str, str] = Field(default={})
    notes: list[str] = Field(default=[])
    stations: int = 0
    pairs: int = 0
    stamps: int = 0
    lost: dict[str, dict[str, int]] = Field(default={})
    stations_not_used: list[str] = Field(default=[])
    stations_that_do_not_vary: list[str] = Field(default=[])
    selection: str = ""
    matching: dict[str, str] = Field(default={})
    level: float = 0.95
    verdict: str = ""
    views: dict[str, dict[str, dict[str, Any]]] = Field(default={})
    gains: dict[str, Gains] = Field(default={})
    maps: dict[str, dict[str, Any]] = Field(default={})
    gaps: list[GapRow] = Field(default=[])
    hat: Hat | None = None
    intervals: Covered | None = None


@dataclass(frozen=True)
class Judged:
    """Hold a validation: its summary, and the folder with its tables.

    Attributes
    ----------
    path
        The folder ``validation``.
    """

    path: Path
    summary: Summary

    def title(self, name: str) -> str:
        """Give what a product is called."""
        return self.summary.titles.get(name, name)

    def table(self, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """Read one table; None where it is not there or empty.

        Raises
        ------
        FileProblem
            When it cannot be read, or lacks one of these columns.
        """
        return read_table(self.path / f"{name}.csv", columns)

    @property
    def has_stations(self) -> bool:
        """Tell whether it was judged at stations."""
        return bool(self.summary.views.get("values")) and self.summary.stations > 0


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame | None:
    """Read a table of the run; None where it is not there or has no rows.

    Raises
    ------
    FileProblem
        When it cannot be read, or lacks one of these columns.
    """
    if not path.exists():
        return None
    try:
        names = dict.fromkeys(("station", "network", "product", "stratum", "label"), str)
        table = pd.read_csv(path, dtype=names, keep_default_na=False, na_values=["", "nan"])
    except (OSError, ValueError) as error:  # pandas' own errors are values
        raise FileProblem(
            path,
            found=f"a table that cannot be read ({error!r})",
            expected=f"columns {', '.join(columns)}",
        ) from error
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise FileProblem(
            path,
            found=f"no column {', '.join(lacking)}",
            expected=f"columns {', '.join(columns)}",
            remedy="Run the job again with this version of vadose.",
        )
    return table if len(table) else None


def is_true(column: pd.Series) -> pd.Series:
    """Tell which values of a column of a table say yes."""
    return column.astype(str).str.lower().isin(["true", "1", "1.0"])


def read_judged(run: Run) -> Judged | None:
    """Read the validation of a run; None where it has none.

    Raises
    ------
    FileProblem, RunProblem
        When its summary cannot be read, or is not that of a validation.
    """
    path = run.path / "validation"
    if not (path / "summary.json").exists():
        return None
    return Judged(path, read_record(path / "summary.json", Summary))
