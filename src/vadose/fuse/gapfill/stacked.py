"""Learn from gaps laid on the record itself how to correct optimal interpolation."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import ModelProblem, ValueProblem
from vadose.fuse.gapfill.features import MARGIN, OPTIMAL, gap_features, smooth_fields
from vadose.fuse.gapfill.lines import fit_lines
from vadose.fuse.gapfill.optimal import OptimalInterpolation
from vadose.fuse.gapfill.records import (
    Floats,
    Record,
    check_fitted,
    draw_gaps,
    draw_window,
    read_record,
    stripes,
    write_field,
)
from vadose.models.threads import one_thread

Places = npt.NDArray[np.int64]

#: Rows of the grid that are filled at a time.
STRIPE = 64
#: Days in a row on which the gaps of one set after the other are laid: mostly one, as between swaths.
DAYS = (1, 2, 1, 3)


class Stacked:
    """Correct optimal interpolation by boosted trees that have seen many gaps with known values.

    Values are hidden under gaps of other days again and again; trees learn what optimal interpolation gets
    wrong there, from the estimate, its spread, the observations before, after and beside the gap, and what
    the model did since. How far the correction is to be trusted is fitted on draws of gaps that the trees
    have not seen, neither as targets nor in another draw. A record with too few values to learn from is
    filled by optimal interpolation alone.

    Parameters
    ----------
    draws
        Sets of gaps to learn from.
    rows
        Hidden values to learn from, over all sets.
    trees, rate, leaves, leaf, features, shrinkage
        Of each boosting: rounds, share of each step, largest number of leaves, fewest samples in one, share
        of features tried, L2 penalty.
    members
        Boostings, each of which leaves out other draws and all values that are hidden there; no more than
        draws.
    optimal
        What is corrected; one with default settings unless given. It is fitted anew.
    seed
        Same seed, same values.

    Attributes
    ----------
    optimal_ : OptimalInterpolation
        What is corrected.
    members_ : list
        The boostings; empty where there was too little to learn from.
    trust_ : float
        Share of the correction that is taken, 0 to 1: half way from the share that is best for gaps that a
        boosting has not seen to one, for the mean of all boostings errs less than each.
    features_ : list of str
        What the trees see.

    References
    ----------
    Wolpert (1992), Neural Netw. 5:241 (stacking); Friedman (2001), Ann. Statist. 29:1189 (boosting);
    Breiman (1996), Mach. Learn. 24:49 (shrinking by what was left out).

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=32, days=20, factor=4, seed=0)
    >>> filler = Stacked(draws=4, members=2, trees=5, optimal=OptimalInterpolation(targets=100))
    >>> filler = filler.fit(small.coarse["soil_moisture"], small.land_model)
    >>> bool(filler.fill(small.coarse["soil_moisture"], small.land_model).notnull().all())
    True
    """

    name: ClassVar[str] = "stacked"

    def __init__(
        self,
        *,
        draws: int = 8,
        rows: int = 60_000,
        trees: int = 200,
        rate: float = 0.06,
        leaves: int = 31,
        leaf: int = 50,
        features: float = 0.3,
        shrinkage: float = 10.0,
        members: int = 8,
        optimal: OptimalInterpolation | None = None,
        seed: int = 0,
    ) -> None:
        self.draws, self.rows, self.members, self.seed = draws, rows, members, seed
        self.trees, self.rate, self.leaves, self.leaf = trees, rate, leaves, leaf
        self.features, self.shrinkage, self.optimal = features, shrinkage, optimal

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Fit optimal interpolation, lay gaps and learn what it gets wrong there."""
        if not 2 <= self.members <= self.draws:
            raise ValueProblem(
                "stacked",
                found=f"draws={self.draws}, members={self.members}",
                expected="two or more members, and as many draws or more",
            )
        record = read_record(satellite, model)
        start = self.optimal or OptimalInterpolation(seed=self.seed)
        self.optimal_ = type(start)(**settings_of(start)).fit_arrays(record)
        table, error, draw, place, hidden = self._learn_from(record)
        self.members_: list[Any] = []
        self.trust_ = 0.0
        # trees need some leaves to tell anything
        if len(table) < 8 * self.leaf:
            return self
        left_out = np.zeros(len(table))
        for member in range(self.members):
            is_out = draw % self.members == member
            # a gap keeps its neighbours from being known, so none of it may teach, in no other draw
            secret = np.concatenate(hidden[member :: self.members])
            is_in = ~is_out & ~np.isin(place, secret)
            boosting = self._grow(table[is_in], error[is_in], member)
            left_out[is_out] = self._predict(boosting, table[is_out])
            self.members_.append(boosting)
        square = float((left_out**2).sum())
        share = float((left_out * error).sum()) / square if square > 0 else 0.0
        # what is left out is judged by one boosting, which errs more than the mean of all: half way to one
        self.trust_ = float(np.clip((1 + share) / 2, 0, 1)) if square > 0 else 0.0
        return self

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Estimate the satellite's value everywhere; at observed values that of optimal interpolation."""
        if not hasattr(self, "trust_"):
            raise ModelProblem(self.name, found="no fit", expected="a fitted filler")
        record = read_record(satellite, model)
        lines = self.optimal_.lines_
        check_fitted(lines.level.shape, record, self.name)
        filled = np.full(record.observed.shape, np.nan, "f4")
        fields = smooth_fields(record, lines)
        for first, last in stripes(record.observed.shape[1], STRIPE):
            start = max(first - MARGIN, 0)
            around = slice(start, last + MARGIN)
            part, near = record.part(around, slice(None)), lines.part(around)
            smoothed = {name: field[:, around] for name, field in fields.items()}
            has_model = np.isfinite(part.modelled) & np.isfinite(near.level)
            is_inside = np.zeros(has_model.shape[1], bool)
            is_inside[first - start : last - start] = True
            has_model &= is_inside[:, None]
            is_gap = has_model & ~np.isfinite(part.observed)
            values = np.full(has_model.shape, np.nan, "f4")
            is_seen = has_model & ~is_gap
            values[is_seen] = self.optimal_.estimate(part, is_seen, near)[0]
            table, _ = gap_features(part, near, self.optimal_, smoothed, is_gap)
            values[is_gap] = self._estimate(table)
            filled[:, first:last] = values[:, is_inside]
        return write_field(filled, satellite)

    def _learn_from(
        self, record: Record
    ) -> tuple[npt.NDArray[np.float32], Floats, Places, Places, list[Places]]:
        """Lay gaps: features of hidden values, what is wrong there, draw, place; all hidden of each draw."""
        rng = np.random.default_rng(self.seed)
        tables, errors, draws, places, secrets = [], [], [], [], []
        numbered = np.arange(record.observed.size).reshape(record.observed.shape)
        for draw in range(self.draws):
            at = draw_window(record, rng)
            whole = record.part(*at)
            # one day as most gaps of swaths, and up to three as those between overpasses
            hidden = draw_gaps(whole, rng, share=0.15, days=DAYS[draw % len(DAYS)])
            part = whole.hide(hidden)
            lines = fit_lines(part, pull=self.optimal_.pull)
            chosen = rng.permutation(np.flatnonzero(hidden))[: self.rows // self.draws]
            wanted = np.zeros(hidden.shape, bool)
            wanted.flat[chosen] = True
            fields = smooth_fields(part, lines)
            table, self.features_ = gap_features(part, lines, self.optimal_, fields, wanted)
            tables.append(table)
            errors.append(whole.observed[wanted] - table[:, OPTIMAL])
            draws.append(np.full(len(table), draw))
            local = numbered[:, at[0], at[1]]
            places.append(local[wanted])
            secrets.append(local[hidden])
        return (
            np.concatenate(tables),
            np.concatenate(errors),
            np.concatenate(draws),
            np.concatenate(places),
            secrets,
        )

    def _grow(self, table: npt.NDArray[np.float32], error: Floats, member: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        boosting = HistGradientBoostingRegressor(
            max_iter=self.trees,
            learning_rate=self.rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.leaf,
            max_features=self.features,
            l2_regularization=self.shrinkage,
            early_stopping=False,
            random_state=self.seed + member,
        )
        with one_thread():
            return boosting.fit(table, error)

    def _predict(self, boosting: Any, table: npt.NDArray[np.float32]) -> Floats:
        with one_thread():
            return np.asarray(boosting.predict(table), "f8")

    def _estimate(self, table: npt.NDArray[np.float32]) -> Floats:
        estimate = table[:, OPTIMAL].astype("f8")
        if len(table) and self.members_ and self.trust_ > 0:
            total = np.zeros(len(table))
            for boosting in self.members_:
                total += self._predict(boosting, table)
            estimate += self.trust_ * total / len(self.members_)
        return estimate


def settings_of(filler: OptimalInterpolation) -> dict[str, Any]:
    """Give the parameters of a filler, without what it has learned."""
    return {name: value for name, value in vars(filler).items() if not name.endswith("_")}
