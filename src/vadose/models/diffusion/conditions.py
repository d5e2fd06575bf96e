"""Conditions: when and where a sample is, and what the stations say that day, by name among its features.

They steer a denoiser (FiLM) instead of being one more predictor. Time and place enter as waves of fixed
periods, so that a single day is encoded as it would be among others, and a year that was not learned from
stays within the range of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem, UnknownName

Table = npt.NDArray[np.float32]

#: What a condition is, by the name of its feature.
CONDITIONS = {
    "day_of_year": "1 to 366",
    "year": "such as 2019",
    "longitude": "degrees east, -180 to 180",
    "latitude": "degrees north",
    "station_mean": "over the training stations of the day, unit of the target",
    "station_sd": "their standard deviation",
    "station_lower_quartile": "their lower quartile",
    "station_upper_quartile": "their upper quartile",
    "station_missing": "1 on a day without such statistics, of which then nothing is used; else 0",
}
#: Those that may be missing.
STATISTICS = ("station_mean", "station_sd", "station_lower_quartile", "station_upper_quartile")
#: Waves within a year, and the periods of those over years: the longest exceeds any record of satellites.
HARMONICS, PERIODS = 2, (64.0, 32.0, 16.0, 8.0, 4.0)
#: Waves around the globe, and from pole to pole: the shortest are 11° and 6° long, too long for a station.
OCTAVES = 6
#: Days of a year, on average.
YEAR = 365.25


def find_conditions(names: Sequence[str]) -> dict[str, int]:
    """Find the conditions among the names of features.

    Returns
    -------
    dict
        Number of the column of each, as `vadose.models.diffusion.Diffusion` takes them.

    Examples
    --------
    >>> find_conditions(["ndvi", "longitude", "latitude"])
    {'longitude': 1, 'latitude': 2}
    """
    return {name: column for column, name in enumerate(names) if name in CONDITIONS}


@dataclass(frozen=True)
class Conditions:
    """Tell conditions from plain features, and encode them.

    Attributes
    ----------
    columns
        Number of the column of each condition, by name.
    features
        Number of all features.

    Raises
    ------
    UnknownName
        A condition that is none of `CONDITIONS`.
    ModelProblem
        A column that does not exist or is named twice, or only the flag of statistics.

    Examples
    --------
    >>> conditions = Conditions({"day_of_year": 1}, 3)
    >>> conditions.widths
    (2, 4, 0)
    >>> X = np.array([[0.5, 365.25, 7.0]], dtype="f4")
    >>> np.abs(conditions.encode(X, X)).round(3)
    array([[0.5, 7. , 0. , 1. , 0. , 1. ]], dtype=float32)
    """

    columns: Mapping[str, int]
    features: int

    def __post_init__(self) -> None:
        for name, column in self.columns.items():
            if name not in CONDITIONS:
                raise UnknownName("condition", name, CONDITIONS)
            if column not in range(self.features):
                raise ModelProblem(
                    f"condition {name!r}",
                    found=f"column {column}",
                    expected=f"0 to {self.features - 1}, one of the features",
                )
        if len(set(self.columns.values())) < len(self.columns):
            raise ModelProblem(
                "conditions", found=f"{dict(self.columns)}", expected="a column for each of them"
            )
        if "station_missing" in self.columns and not self._statistics:
            raise ModelProblem(
                "condition 'station_missing'",
                found="no statistics that could be missing",
                expected=f"one or more of {', '.join(STATISTICS)}",
            )

    @property
    def _statistics(self) -> list[str]:
        return [name for name in STATISTICS if name in self.columns]

    @property
    def _plain(self) -> list[int]:
        return [one for one in range(self.features) if one not in set(self.columns.values())]

    @property
    def widths(self) -> tuple[int, int, int]:
        """Number of plain features, of those of time and place, and of those of stations."""
        each = {
            "day_of_year": 2 * HARMONICS,
            "year": 2 * len(PERIODS),
            "longitude": 2 * OCTAVES,
            "latitude": 2 * OCTAVES + 1,
        }
        fixed = sum(width for name, width in each.items() if name in self.columns)
        statistics = len(self._statistics)
        return len(self._plain), fixed, statistics + (statistics > 0)

    def encode(self, table: Table, scaled: npt.NDArray[np.floating]) -> Table:
        """Give plain features, then time and place, then statistics and a flag.

        Parameters
        ----------
        table
            Dims ``(…, feature)``, in their own units.
        scaled
            The same, scaled.

        Returns
        -------
        array
            Dims ``(…, sum of widths)``. The flag is 1 where there are statistics; where there are none,
            they are 0, as it is.
        """
        parts = [scaled[..., self._plain]]
        value = {
            name: table[..., column].astype(np.float64) for name, column in self.columns.items()
        }
        day = value.get("day_of_year", np.zeros(()))
        if "day_of_year" in value:
            parts += [_waves(day / YEAR * wave) for wave in range(1, HARMONICS + 1)]
        if "year" in value:
            years = value["year"] - 2000.0 + day / YEAR
            parts += [_waves(years / period) for period in PERIODS]
        if "longitude" in value:
            parts += [_waves(value["longitude"] / 360.0 * 2.0**octave) for octave in range(OCTAVES)]
        if "latitude" in value:
            parts += [_waves(value["latitude"] / 180.0 * 2.0**octave) for octave in range(OCTAVES)]
            parts.append(value["latitude"][..., None] / 90.0)
        if self._statistics:
            missing = value.get("station_missing", np.zeros(table.shape[:-1]))
            is_there = (missing == 0.0)[..., None]
            statistics = scaled[..., [self.columns[name] for name in self._statistics]]
            parts += [np.where(is_there, statistics, 0.0), is_there]
        return np.concatenate(parts, axis=-1).astype(np.float32)


def _waves(turns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give sine and cosine of so many turns along a last dimension."""
    angle = 2.0 * np.pi * turns
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)
