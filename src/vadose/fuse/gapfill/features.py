"""What is known about a gap: the observations before, after and beside it, and what the model did meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from vadose.fuse.gapfill.dct import PRECISION, solve_penalised, square_roughness
from vadose.fuse.gapfill.lines import Lines
from vadose.fuse.gapfill.optimal import MARGIN as OPTIMAL_MARGIN
from vadose.fuse.gapfill.optimal import OptimalInterpolation
from vadose.fuse.gapfill.persistence import neighbours_in_time
from vadose.fuse.gapfill.records import Floats, Mask, Record, reach, smooth

#: Windows of means around a cell, standard deviation in cells.
NEAR, WIDE = 1.5, 4.0
#: E-folding time of means over days, in days.
MEMORY = 1.5
#: Weight at which a mean is taken for half.
TRUST_IN_TIME, TRUST_IN_SPACE = 0.05, 0.02
#: Penalty and aspect of the smooth fields.
PENALTY, ASPECT = 0.05, 0.5
#: Rows beyond a stripe that its features depend on.
MARGIN = max(OPTIMAL_MARGIN, reach(WIDE))
#: Place of the estimate by optimal interpolation among the features.
OPTIMAL = 0


def smooth_fields(record: Record, lines: Lines) -> dict[str, npt.NDArray[np.float32]]:
    """Give the smoothest fields near the observations, and near the lines' residuals (`dct`).

    Their penalty is fixed: how far to follow them is left to what learns from them.
    """
    roughness = (PENALTY * square_roughness(record.observed.shape, ASPECT)).astype(PRECISION)
    found: dict[str, npt.NDArray[np.float32]] = {}
    line = lines.apply(record.modelled)
    for name, field in (
        ("smooth_value", record.observed),
        ("smooth_residual", record.observed - line),
    ):
        is_there = np.isfinite(field)
        smoothest = solve_penalised(
            np.where(is_there, field, 0.0).astype(PRECISION),
            is_there.astype(PRECISION),
            roughness,
            tolerance=1e-3,
            iterations=60,
        )
        found[name] = smoothest.astype(PRECISION, copy=False)
    return found


def gap_features(
    record: Record,
    lines: Lines,
    optimal: OptimalInterpolation,
    fields: Mapping[str, npt.NDArray[np.float32]],
    wanted: Mask,
) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Describe wanted places, in their order.

    Parameters
    ----------
    record
        What is observed; a place's own value is used by the estimate of optimal interpolation and by the
        means over the same day, so describe places whose value is hidden.
    lines
        Lines fitted to this record.
    optimal
        Fitted to this record or to one with more values.
    fields
        What `smooth_fields` gives of this record, or of one of which it is a part.
    wanted
        Places, dims ``time, y, x``; the model has a value there.

    Returns
    -------
    tuple
        Rows ``(place, feature)``, NaN where unknown, and the features' names; `OPTIMAL` comes first.
    """
    columns: dict[str, npt.NDArray[np.float32]] = {}

    def keep(name: str, field: Floats) -> None:
        columns[name] = np.broadcast_to(field, wanted.shape)[wanted].astype("f4")

    line = lines.apply(record.modelled)
    residual = record.observed - line
    estimate, variance = optimal.estimate(record, wanted, lines)
    columns["optimal"] = estimate.astype("f4")
    columns["optimal_spread"] = np.sqrt(variance).astype("f4")
    columns["optimal_residual"] = (estimate - line[wanted]).astype("f4")
    for name, field in fields.items():
        columns[name] = field[wanted]
    columns["smooth_difference"] = (
        columns["smooth_residual"] + line[wanted].astype("f4") - columns["smooth_value"]
    )
    columns["smooth_less_optimal"] = columns["smooth_residual"] - columns["optimal_residual"]
    for name, beside in zip(
        ("before", "after"), neighbours_in_time(residual, record.days), strict=True
    ):
        keep(f"residual_{name}", beside.value)
        keep(f"value_{name}", beside.of(record.observed))
        keep(f"change_since_{name}", line - beside.of(line))
        keep(f"days_{name}", np.where(np.isfinite(beside.apart), beside.apart, np.nan))
    _keep_means(record, residual, keep)
    _keep_model(record, line, keep)
    for name in ("level", "middle", "slope", "spread"):
        keep(name, getattr(lines, name))
    is_there = np.isfinite(record.observed)
    count = np.maximum(is_there.sum(axis=0), 1)
    mean = np.where(is_there, record.observed, 0).sum(axis=0) / count
    squares = np.where(is_there, (record.observed - mean) ** 2, 0).sum(axis=0)
    keep("variability", np.sqrt(squares / count))
    return np.stack(list(columns.values()), axis=1), list(columns)


def _keep_means(record: Record, residual: Floats, keep: Callable[[str, Floats], None]) -> None:
    """Take means of residuals over other days, and of what the same day adds to them nearby."""
    is_there = np.isfinite(residual)
    kernel = np.exp(-np.abs(record.days[:, None] - record.days) / MEMORY)
    np.fill_diagonal(kernel, 0)
    total = np.tensordot(kernel, np.where(is_there, residual, 0.0), axes=1)
    weight = np.tensordot(kernel, is_there.astype("f8"), axes=1)
    others = total / (weight + TRUST_IN_TIME)
    keep("other_days", others)
    news = np.where(is_there, residual - others, 0.0)
    for name, cells in (("near", NEAR), ("wide", WIDE)):
        keep(
            f"other_days_{name}",
            smooth(total, cells) / (smooth(weight, cells) + TRUST_IN_TIME),
        )
        beside = smooth(is_there.astype("f8"), cells)
        keep(f"same_day_{name}", smooth(news, cells) / (beside + TRUST_IN_SPACE))
        keep(f"same_day_weight_{name}", beside)


def _keep_model(record: Record, line: Floats, keep: Callable[[str, Floats], None]) -> None:
    """Take the model's value, its changes from and to the days around, and how it stands out."""
    keep("line", line)
    keep("model", record.modelled)
    for step in (-2, -1, 1, 2):
        other = np.full_like(record.modelled, np.nan)
        source, target = (
            (slice(None, step), slice(-step, None))
            if step < 0
            else (
                slice(step, None),
                slice(None, -step),
            )
        )
        other[target] = record.modelled[source]
        keep(f"model_change_{step}", record.modelled - other)
    is_there = np.isfinite(record.modelled)
    share = smooth(is_there.astype("f8"), 2 * NEAR)
    count = np.maximum(is_there.sum(axis=0), 1)
    mean = np.where(is_there, record.modelled, 0).sum(axis=0) / count
    anomaly = np.where(is_there, record.modelled - mean, 0.0)
    around = smooth(anomaly, 2 * NEAR) / np.maximum(share, 1e-6)
    keep("model_anomaly_around", around)
    keep("model_anomaly_own", anomaly - around)
    spread = np.sqrt((anomaly**2).sum(axis=0) / count)
    keep("model_variability", spread)
