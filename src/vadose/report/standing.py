"""Whether a method is better or worse than a baseline: decided once, by the interval of the paired difference.

Headline, tables and chapters take it from here, so that one page does not say two things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vadose.report.judged import Judged
from vadose.report.runs import NAN, Method, Scores
from vadose.report.tables import EQUAL, signed

Kind = Literal["better", "worse", "same", "untold"]
Standings = Mapping[str, Mapping[str, "Standing"]]
BASELINES = ("nearest", "smooth")


@dataclass(frozen=True)
class Standing:
    """Hold how a method stands to a baseline.

    Attributes
    ----------
    kind
        ``same`` where the interval holds zero: not shown to differ. ``untold`` where nobody can say.
    gain, lower, upper
        By how much its error is smaller, with the interval; NaN where there is none.
    metric
        Which error: RMSE over cells, or the median over stations of ubRMSE.
    why
        Why nothing can be told.
    """

    kind: Kind
    gain: float = NAN
    lower: float = NAN
    upper: float = NAN
    metric: str = "RMSE"
    why: str = ""

    @property
    def has_interval(self) -> bool:
        """Tell whether an interval decided."""
        return bool(np.isfinite([self.lower, self.upper]).all())

    @property
    def interval(self) -> str:
        """Give the gain and its interval in words.

        Examples
        --------
        >>> Standing("worse", -0.0018, -0.0043, -0.00003, "ubRMSE").interval
        'gain in ubRMSE −0.0018, 95 % interval −0.0043 to −0.00003'
        """
        if not self.has_interval:
            return ""
        gain, low, high = (signed(value) for value in (self.gain, self.lower, self.upper))
        return f"gain in {self.metric} {gain}, 95 % interval {low} to {high}"


def standings(scores: Scores, judged: Judged | None = None) -> dict[str, dict[str, Standing]]:
    """Tell how every method stands to the baselines, ``[method][baseline]``.

    Parameters
    ----------
    judged
        What the validation found; of a run judged at stations its paired gains decide.
    """
    return {
        name: {
            base: _standing(scores, judged, name, base)
            for base in BASELINES
            if base in scores.methods and base != name
        }
        for name in scores.methods
    }


def _standing(scores: Scores, judged: Judged | None, name: str, base: str) -> Standing:
    method = scores.methods[name]
    if scores.reference == "stations":
        return _at_stations(method, judged, name, base)
    own = method.gain_over_nearest if base == "nearest" else method.gain_over_smooth
    if np.isfinite([own.rmse_lower, own.rmse_upper]).all():
        kind = _decided(own.rmse_lower, own.rmse_upper)
        return Standing(kind, own.rmse, own.rmse_lower, own.rmse_upper)
    rmse, theirs = method.pooled.rmse, scores.methods[base].pooled.rmse
    if not np.isfinite([rmse, theirs]).all():
        return Standing("untold")
    share = (theirs - rmse) / theirs if theirs else 0.0
    kind = "better" if share > EQUAL else "worse" if share < -EQUAL else "same"
    return Standing(kind, theirs - rmse)


def _at_stations(method: Method, judged: Judged | None, name: str, base: str) -> Standing:
    if judged is not None and judged.has_stations and base in judged.summary.gains:
        found = judged.summary.gains[base].products.get(name, {}).get("delta_ubrmse")
        if found is not None:
            ends = found.median, found.lower, found.upper
            if not np.isfinite(ends).all():
                is_still = name in judged.summary.gains[base].do_not_vary
                why = "does not vary at most stations" if is_still else "too few stations"
                return Standing("untold", metric="ubRMSE", why=why)
            return Standing(_decided(found.lower, found.upper), *ends, "ubRMSE")
    told = (
        method.station_gain_over_nearest if base == "nearest" else method.station_gain_over_smooth
    )
    gain = told.get("ubrmse")
    if gain is None or not np.isfinite([gain.median, gain.lower, gain.upper]).all():
        return Standing("untold", metric="ubRMSE")
    return Standing(_decided(gain.lower, gain.upper), gain.median, gain.lower, gain.upper, "ubRMSE")


def _decided(lower: float, upper: float) -> Kind:
    return "better" if lower > 0 else "worse" if upper < 0 else "same"
