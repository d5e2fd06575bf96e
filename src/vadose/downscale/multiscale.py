"""Training at several scales at once, after Azedou et al., with every coarse value counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import xarray as xr

from vadose.cubes.reproject import resolution
from vadose.downscale.base import Progress, align, tell
from vadose.downscale.direct import Direct
from vadose.downscale.levels import level
from vadose.downscale.provenance import feature_ranges
from vadose.downscale.spots import Spots, Table, draw, read
from vadose.errors import CubeProblem, ModelProblem, RecipeProblem
from vadose.grids import cell_area, grid_of, lonlat, nesting
from vadose.models.base import Column, Groups, Model, quiet, write_description
from vadose.schema import check_cube


@dataclass(frozen=True)
class ScaleClosure:
    """Say how far predictions at one scale, averaged over coarse cells, are from the coarse values.

    Attributes
    ----------
    scale
        Side of a cell in m.
    is_trained
        False for the fine grid itself, if the model has not learned there.
    cells
        Coarse cells and steps that were compared.
    bias, rmse
        Of the mean prediction minus the coarse value, in units of the target.
    sampling
        The RMSE to expect from taking some cells for all of a coarse cell, had the model no other error;
        None where no coarse cell has two samples.
    """

    scale: float
    is_trained: bool
    cells: int
    bias: float
    rmse: float
    sampling: float | None


class MultiScale(Direct):
    """Learn from cells of several sizes between the coarse and the fine grid, and predict the fine one.

    The coarse target is interpolated to each scale by guarded cubics (`vadose.cubes.cubic`); the fine
    predictors are brought up to it by area mean (codes: majority), also where a cell of the scale is no
    whole number of fine cells. A predictor that is coarse by nature is taken as it lies on the fine grid.

    A coarse value spread over 81 cells of 1 km is one piece of knowledge, not 81. So at each scale a
    fixed number of cells is drawn from every coarse cell and step; each weighs one over the number of
    these, so that the coarse value counts once at the scale; and the copies of a coarse cell at all
    scales and steps are one group, which a model that holds samples back keeps together. Near the edge
    of a coarse cell the cubic knows half of the neighbour's value: groups of several coarse cells
    (`block`) have fewer such edges.

    That the relation is the same at all scales is assumed by the method. ``closure_`` tells how well it
    holds at each scale, and on the fine grid, where nothing was learned: the mean of a curved relation
    over a coarse cell is not the relation of the means.

    Parameters
    ----------
    model
        Any `vadose.models.base.Model` of rows.
    predictors
        Variables of the fine cube.
    fine
        Fine predictors of the time of training, which `fit` needs; they are not saved.
    scales
        Sides of training cells in m, none above that of the coarse or below that of the fine cells.
    target
        Variable to downscale.
    with_position
        Whether longitude and latitude are predictors too.
    samples
        Cells of each scale drawn from every coarse cell and step; all where there are not more.
    block
        Coarse cells along the side of a group.
    seed
        Of the draw, which depends on day and scale but not on other days, scales or chunks.

    References
    ----------
    Azedou et al. (2025), Environmental Modelling & Software, 10.1016/j.envsoft.2025.106824: scales,
    cubics, soil brought up. Guard, drawing, weights and groups are ours.

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.models import RandomForest
    >>> world = vadose.synthetic.world(size=16, days=8, factor=8, seed=0)
    >>> several = MultiScale(
    ...     RandomForest(trees=5), ["ndvi", "sand"], fine=world.predictors, scales=(4000.0, 1500.0)
    ... )
    >>> product = several.fit(world.coarse_truth).predict(world.predictors, world.coarse_truth)
    >>> product["soil_moisture"].shape
    (8, 16, 16)
    >>> [(round(one.scale), one.is_trained) for one in several.closure_]
    [(4000, True), (1500, True), (1001, False)]
    """

    def __init__(
        self,
        model: Model,
        predictors: Sequence[str],
        *,
        fine: xr.Dataset | None = None,
        scales: Sequence[float] = (1000.0, 100.0, 50.0),
        target: str = "soil_moisture",
        with_position: bool = True,
        samples: int = 4,
        block: int = 1,
        seed: int = 0,
        progress: Progress = quiet,
    ) -> None:
        super().__init__(
            model, predictors, target=target, with_position=with_position, progress=progress
        )
        self.fine, self.scales = fine, tuple(float(scale) for scale in scales)
        self.samples, self.block, self.seed = samples, block, seed

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the model on cells of all scales together.

        Parameters
        ----------
        coarse
            Holds the target; a coarse cell where it is NaN gives no sample.

        Raises
        ------
        ModelProblem
            A model of another kind than rows; no fine predictors.
        RecipeProblem
            Scales, samples, block or seed that make no sense.
        GridProblem
            Grids that do not nest; a scale above the coarse or below the fine cells.
        CubeProblem
            A predictor that is not in the fine cube; a scale without a complete cell.
        NoOverlap
            A step of the coarse cube that the fine one lacks.
        """
        drawn, tables = self.spots(coarse)
        X, y, groups = self._joined(drawn, tables)
        tell(self.model, self.progress)
        weight = np.concatenate([one.weight() for one in drawn[: len(self.scales)]])
        self.model.fit(X, y, weight=weight, groups=groups)
        self.feature_names_, self.feature_ranges_ = self._names(), feature_ranges(X)
        self.closure_ = [
            closure(one, self.model.predict(table), is_trained=place < len(self.scales))
            for place, (one, table) in enumerate(zip(drawn, tables, strict=True))
            if len(table)
        ]
        return self

    def training_data(self, coarse: xr.Dataset) -> tuple[Table, Column, Groups]:
        """Take what there is to learn from all scales: samples, targets, and groups to hold back.

        Raises
        ------
        ModelProblem, RecipeProblem, GridProblem, CubeProblem, NoOverlap
            As `fit`.
        """
        return self._joined(*self.spots(coarse))

    def save(self, folder: Path) -> None:
        """Write what `load_downscaler` reads: a description, the closure in it, and the model's files."""
        if not hasattr(self, "feature_names_"):
            raise ModelProblem("downscaler", found="no fit", remedy="Call fit first.")
        settings = ("scales", "with_position", "samples", "block", "seed")
        description = {
            "predictors": self.predictors,
            "target": self.target,
            "features": list(self.feature_names_),
            "ranges": self.feature_ranges_.tolist(),
            "settings": {name: getattr(self, name) for name in settings},
            "closure": [asdict(one) for one in getattr(self, "closure_", [])],
        }
        write_description(folder, "multiscale", description, file="downscaler.json")
        (folder / "model").mkdir()
        self.model.save(folder / "model")

    def _checked(self, coarse: xr.Dataset) -> xr.Dataset:
        """Give the fine cube with the steps of the coarse one."""
        if self.model.kind != "rows":
            raise ModelProblem(
                f"model {self.model.name}",
                found=f"samples that are {self.model.kind}",
                expected="rows, for cells of several sizes make no patch or series",
                remedy="Choose a model of rows, or train at one scale.",
            )
        if self.fine is None:
            raise ModelProblem(
                "downscaler",
                found="no fine predictors",
                expected="those of the time of training",
                remedy="Give them as fine; they are not saved with the model.",
            )
        for name, value, least in (
            ("samples", self.samples, 1),
            ("block", self.block, 1),
            ("seed", self.seed, 0),
        ):
            if value < least:
                raise RecipeProblem(name, found=f"{value}", expected=f"{least} or more")
        if not self.scales or len(set(self.scales)) < len(self.scales):
            raise RecipeProblem(
                "scales", found=f"{list(self.scales)}", expected="one or more, each once"
            )
        check_cube(self.fine, required=self.predictors, source="fine cube")
        return align(self.fine, coarse, self.target)[0]

    def _samples(self, fine: xr.Dataset, target: xr.DataArray) -> tuple[list[Spots], list[Table]]:
        """Give the complete cells of every scale, and of the fine grid for the closure alone."""
        grid, coarse = grid_of(fine), grid_of(target)
        factors = nesting(coarse, grid)
        levels = [level(scale, grid, coarse, factors) for scale in self.scales]
        if all(one.ratio != 1.0 for one in levels):
            levels.append(level(resolution(grid), grid, coarse, factors))
        drawn = [draw(one, target, factors, samples=self.samples, seed=self.seed) for one in levels]
        fields = [fine[name] for name in self.predictors]
        if self.with_position:
            fields += [xr.DataArray(values, dims=("y", "x")) for values in lonlat(grid)]
        tables = read(
            drawn,
            fields,
            cell_area(grid).values,
            steps=target.sizes.get("time", 1),
            progress=self.progress,
        )
        is_complete = [np.asarray(np.isfinite(table).all(axis=1)) for table in tables]
        return (
            [one.kept(is_kept) for one, is_kept in zip(drawn, is_complete, strict=True)],
            [table[is_kept] for table, is_kept in zip(tables, is_complete, strict=True)],
        )

    def spots(self, coarse: xr.Dataset) -> tuple[list[Spots], list[Table]]:
        """Draw the complete cells of every scale, in the order of `scales`, and read their features.

        The fine grid comes last, for the closure alone, unless it is one of the scales.

        Raises
        ------
        ModelProblem, RecipeProblem, GridProblem, CubeProblem, NoOverlap
            As `fit`.
        """
        drawn, tables = self._samples(self._checked(coarse), coarse[self.target])
        for one in drawn[: len(self.scales)]:
            if one.frame.empty:
                raise CubeProblem(
                    f"scale of {one.level.scale:g} m",
                    found=f"no cell with {self.target} and all predictors",
                    expected="some complete cells to learn from",
                    remedy="Check the gaps of each predictor.",
                )
        return drawn, tables

    def _joined(
        self, drawn: Sequence[Spots], tables: Sequence[Table]
    ) -> tuple[Table, Column, Groups]:
        frames = [one.frame for one in drawn[: len(self.scales)]]
        width = len(drawn[0].level.columns)
        row, column = np.divmod(np.concatenate([one["cell"] for one in frames]), width)
        return (
            np.concatenate(tables[: len(self.scales)]),
            np.concatenate([one["target"] for one in frames]),
            row // self.block * width + column // self.block,
        )


def closure(spots: Spots, predicted: Column, *, is_trained: bool) -> ScaleClosure:
    """Compare the mean prediction over each coarse cell and step with the coarse value.

    Parameters
    ----------
    spots
        Cells of one level.
    predicted
        One value for each of them.
    is_trained
        Whether the model has learned from them.
    """
    frame = spots.frame.assign(predicted=predicted)
    cells = frame.groupby(["step", "cell"])
    mean, coarse = cells["predicted"].mean(), cells["coarse"].first()
    left = (mean - coarse).to_numpy()
    count = cells.size().to_numpy()
    number = spots.level.number()[coarse.index.get_level_values("cell")]
    # of the mean of some of the cells, drawn without putting back
    chance = cells["predicted"].var(ddof=1).to_numpy() * (1.0 / count - 1.0 / number)
    known = chance[count > 1]
    return ScaleClosure(
        scale=spots.level.scale,
        is_trained=is_trained,
        cells=len(left),
        bias=float(left.mean()),
        rmse=float(np.sqrt(np.mean(left**2))),
        sampling=float(np.sqrt(known.mean())) if known.size else None,
    )
