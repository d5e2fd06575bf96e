"""Scaling: features of like size for networks, learned on the training part only and kept with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem, UnknownName

Rule = Literal["zscore", "range"]
Array = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Scaling:
    """Shift and divide each feature, and undo it.

    Attributes
    ----------
    rule
        ``zscore``: mean 0, standard deviation 1; ``range``: the smallest value 0, the largest 1 (as in
        Ma et al.).
    shift, width
        One per feature. A feature that is constant in training has a width of one, so that it is carried
        along as 0.

    Examples
    --------
    >>> scaling = Scaling.learn(np.array([[1.0, 5.0], [3.0, 5.0]]), "range")
    >>> scaling.apply(np.array([[2.0, 5.0]]))
    array([[0.5, 0. ]])
    """

    rule: Rule
    shift: npt.NDArray[np.float64]
    width: npt.NDArray[np.float64]

    @classmethod
    def learn(cls, values: Array, rule: Rule = "zscore", *, weight: Array | None = None) -> Self:
        """Learn from values of dims ``(..., feature)``; planned gaps (NaN) are left out.

        Parameters
        ----------
        values
            The training part only.
        rule
            How to scale.
        weight
            Dims of `values` without ``feature``; counts for ``zscore``.

        Raises
        ------
        UnknownName
            Another rule.
        ModelProblem
            A feature without any value, or without weight wherever it has one.
        """
        if rule not in get_args(Rule):
            raise UnknownName("scaling", rule, get_args(Rule))
        table = np.asarray(values, dtype=np.float64).reshape(-1, np.shape(values)[-1])
        is_known = np.isfinite(table)
        if not is_known.any(axis=0).all():
            empty = int(np.flatnonzero(~is_known.any(axis=0))[0])
            raise ModelProblem(
                f"feature {empty}", found="no value", expected="some to learn the scaling from"
            )
        if rule == "range":
            shift = np.where(is_known, table, np.inf).min(axis=0)
            width = np.where(is_known, table, -np.inf).max(axis=0) - shift
        else:
            share = is_known if weight is None else is_known * np.reshape(weight, (-1, 1))
            total = share.sum(axis=0)
            if not (total > 0).all():
                empty = int(np.flatnonzero(~(total > 0))[0])
                raise ModelProblem(
                    f"feature {empty}",
                    found="weight 0 at all values",
                    expected="more than 0 somewhere",
                )
            shift = np.sum(np.where(is_known, table, 0.0) * share, axis=0) / total
            square = np.where(is_known, table - shift, 0.0) ** 2
            width = np.sqrt(np.sum(square * share, axis=0) / total)
        # rounding leaves a constant column with a spread of some 1e-16 of its size
        is_constant = width <= 1e-12 * np.maximum(np.abs(shift), 1e-30)
        return cls(rule, shift, np.where(is_constant, 1.0, width))

    def apply(self, values: Array) -> Array:
        """Scale values of dims ``(..., feature)``; keeps their precision."""
        dtype = np.asarray(values).dtype
        return ((values - self.shift) / self.width).astype(dtype)

    def undo(self, values: Array) -> npt.NDArray[np.float64]:
        """Give scaled values in their own units again, in double precision."""
        return np.asarray(values, dtype=np.float64) * self.width + self.shift

    def describe(self) -> dict[str, Any]:
        """Give what `read` takes, as plain numbers."""
        return {"rule": self.rule, "shift": self.shift.tolist(), "width": self.width.tolist()}

    @classmethod
    def read(cls, description: Mapping[str, Any] | None, *, features: int, of: str) -> Self:
        """Make a scaling from what `describe` gave, checked, since it comes from a file.

        Raises
        ------
        ModelProblem
            Missing, of another number of features, or with impossible numbers.
        """
        problem = "no scaling" if description is None else ""
        known = dict(description or {})
        try:
            shift = np.array(known.get("shift"), dtype=np.float64)
            width = np.array(known.get("width"), dtype=np.float64)
        except (TypeError, ValueError):
            shift = width = np.empty(0)
        suits = (
            shift.shape == width.shape == (features,)
            and known.get("rule") in get_args(Rule)
            and bool(np.isfinite(shift).all() and np.isfinite(width).all() and (width > 0).all())
        )
        if not suits:
            raise ModelProblem(
                of,
                found=problem or "a scaling that does not suit",
                expected=f"shift and width of {features} features, learned in training",
                remedy="Fit the model again; without its scaling it cannot be used.",
            )
        return cls(known["rule"], shift, width)
