"""Fuse a record: judge fillers on hidden values, fill block by block with the best, and say what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.config.fusion import Filling
from vadose.cubes.extend import extend
from vadose.downscale.base import Progress
from vadose.errors import NoOverlap, ValueProblem
from vadose.fuse.base import TARGET
from vadose.fuse.blocks import Block, GapEdges, blocks
from vadose.fuse.gapfill.records import busiest
from vadose.fuse.seamless import seamless, with_ages
from vadose.pipeline.gap_judging import Judged, judge, make_filler
from vadose.pipeline.plain import plain
from vadose.schema import ORIGIN
from vadose.validate.seams import edge_jump

#: Cells along the sides of the part of a map on which fillers are judged, at most.
JUDGED = (128, 192)
#: What soil moisture is a share between; land models go below zero by rounding, retrievals by a little noise.
SHARES = (-0.05, 1.05)
#: Share of the satellite's land that a land model must have values on; shores never agree.
REACHED = 0.5


@dataclass(frozen=True, eq=False)
class Record:
    """Hold what is fused, lazily: the days of a block are read when its turn comes.

    Attributes
    ----------
    satellite
        ``soil_moisture`` with gaps and what stands beside it, dims ``time, y, x``.
    model
        The land model and its context on the same cells and days; layers without time have dims ``y, x``.
    cover
        Variable of `model` with classes of land cover.
    """

    satellite: xr.Dataset
    model: xr.Dataset
    cover: str | None = None

    def read(
        self, days: slice, is_land: npt.NDArray[np.bool_], cells: dict[str, slice] | None = None
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Read some days, of some cells; the model reaches all cells of the satellite's land."""
        at = {"time": days, **(cells or {})}
        satellite = self.satellite.isel(at).load()
        model = self.model.isel({dim: one for dim, one in at.items() if dim in self.model.dims})
        where = xr.DataArray(is_land, dims=("y", "x")).isel(cells or {})
        _check_model(model.load()[TARGET], where)
        model = extend(model, where)
        return satellite, model.assign({TARGET: _without_gaps(model[TARGET])})


def _without_gaps(values: xr.DataArray) -> xr.DataArray:
    """Go straight from day to day where the model lacks some, for a gap of it would be one of the product."""
    field = values.transpose("time", "y", "x").values
    known = np.isfinite(field)
    places = np.argwhere(known.any(axis=0) & ~known.all(axis=0))
    if not len(places):
        return values
    field, days = field.copy(), values["time"].values.astype("M8[s]").astype("f8")
    for row, column in places:
        here = known[:, row, column]
        field[~here, row, column] = np.interp(days[~here], days[here], field[here, row, column])
    return values.transpose("time", "y", "x").copy(data=field)


def _check_shares(values: xr.DataArray, where: str) -> None:
    """Refuse what cannot be a share of water: fill values that nobody declared, percent without a unit."""
    is_outside = (values < SHARES[0]) | (values > SHARES[1])
    count = int(is_outside.sum())
    if count:
        wrong = values.values[is_outside.values]
        raise ValueProblem(
            f"{where}: {TARGET}",
            found=f"{count} values outside the valid range, the worst {wrong[np.abs(wrong).argmax()]:g}",
            expected="0 to 1 m3 m-3",
            remedy="Describe the product in a recipe, with its units and fill_values.",
        )


def _check_model(values: xr.DataArray, where: xr.DataArray) -> None:
    """Refuse a land model that says nothing of most of the land: the nearest value is only for shores."""
    _check_shares(values, "land model")
    has_some = values.notnull().any("time").values
    land = where.values
    if not land.any():
        return
    share = float((has_some & land).sum() / land.sum())
    if share < REACHED:
        raise NoOverlap(
            "land model",
            found=f"values on {share:.0%} of the land that the satellite sees",
            expected=f"{REACHED:.0%} or more, for the model fills the gaps",
            remedy="Name a region that both have, or add files of the model.",
        )


@dataclass(frozen=True, eq=False)
class Plan:
    """Know the blocks of a record, and in which part of it fillers are judged.

    Attributes
    ----------
    blocks
        Of days.
    edges
        Gaps across their edges, and the land.
    judged
        Days, rows and columns: the block with most observations, and of its map the part that has most.
    """

    blocks: list[Block]
    edges: GapEdges
    judged: dict[str, slice]


def plan(record: Record, progress: Progress) -> Plan:
    """Read once where and when the satellite has observed."""
    parts = blocks(record.satellite.sizes["time"])
    counts: list[npt.NDArray[np.int64]] = []

    def seen() -> Iterator[xr.DataArray]:
        for number, one in enumerate(parts):
            values = record.satellite[TARGET].isel(time=one.own).load()
            _check_shares(values, "satellite")
            mask = values.notnull()
            counts.append(mask.sum("time").values.astype("i8"))
            progress(number + 1, len(parts), "reading observations")
            yield mask

    edges = GapEdges(seen())
    if not edges.is_land.any():
        raise ValueProblem("satellite", found="no value", expected="observations")
    most = int(np.argmax([one.sum() for one in counts]))
    rows, columns = busiest(counts[most], *JUDGED)
    return Plan(parts, edges, {"time": parts[most].seen, "y": rows, "x": columns})


def judge_record(
    record: Record, planned: Plan, filling: Filling, *, seed: int, work: Path, progress: Progress
) -> Judged:
    """Judge the fillers in the part that the plan names."""
    cells = {dim: planned.judged[dim] for dim in ("y", "x")}
    satellite, model = record.read(planned.judged["time"], planned.edges.is_land, cells)
    return judge(
        satellite[TARGET],
        model,
        filling,
        seed=seed,
        work=work,
        progress=progress,
        cover=record.cover,
    )


def fill_block(
    record: Record, planned: Plan, judged: Judged, filling: Filling, place: int, *, seed: int
) -> xr.Dataset:
    """Fill a block of days, see `vadose.fuse.seamless.seamless`."""
    one = planned.blocks[place]
    satellite, model = record.read(one.seen, planned.edges.is_land)
    seen = satellite[TARGET]
    estimate = make_filler(judged.method, filling, seed).fit(seen, model).fill(seen, model)
    cube = seamless(
        satellite,
        estimate,
        observed=filling.observed,
        error=judged.error,
        cover=None if record.cover is None else model[record.cover],
        mask=filling.mask,
    ).isel(time=one.inside)
    return with_ages(cube, planned.edges.ages(place, seen.isel(time=one.inside).notnull()))


@dataclass(eq=False)
class Account:
    """Sum up what a fusion has made, block by block."""

    counts: npt.NDArray[np.int64]
    jumps: pd.DataFrame

    @classmethod
    def begin(cls) -> Account:
        """Begin with nothing."""
        return cls(np.zeros(len(ORIGIN.meanings), dtype="i8"), pd.DataFrame())

    def add(self, cube: xr.Dataset) -> None:
        """Count the origins of a block, and measure its seams."""
        self.counts += np.bincount(cube["origin"].values.ravel(), minlength=self.counts.size)
        codes = [ORIGIN.code("observed"), ORIGIN.code("fused")]
        is_observed = cube["origin"].isin(codes)
        try:
            found = edge_jump(cube[TARGET], is_observed).to_dataframe()
        except ValueProblem:  # a block without edges
            return
        self.jumps = pd.concat([self.jumps, found])

    def told(self) -> dict[str, Any]:
        """Give plain numbers."""
        origin = {name: int(self.counts[ORIGIN.code(name)]) for name in ORIGIN.meanings}
        seams: dict[str, float | None] = {}
        for kind, rows in self.jumps.groupby(level=0) if len(self.jumps) else ():
            known = rows[rows["n"] > 0]
            total = float((known["expected"] * known["n"]).sum())
            across = float((known["jump"] * known["n"]).sum())
            seams[str(kind)] = across / total if total else None
        told: dict[str, Any] = plain({"origin": origin, "seams": seams})
        return told


def fuse_in_memory(
    record: Record, filling: Filling, *, seed: int, work: Path, progress: Progress
) -> tuple[xr.Dataset, Judged, dict[str, Any]]:
    """Fuse a record that is to be held whole.

    Returns
    -------
    tuple
        The seamless cube; the filler that was taken; what is told of both.
    """
    planned = plan(record, progress)
    judged = judge_record(record, planned, filling, seed=seed, work=work, progress=progress)
    parts = []
    told = fuse_blocks(
        record, planned, judged, filling, seed, progress, lambda _, cube: parts.append(cube)
    )
    return joined(parts), judged, told


def joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put the blocks of a record together; lazy ones stay so."""
    cube = xr.concat(parts, dim="time", coords="minimal", compat="override", join="override")
    return cube.assign_attrs(parts[0].attrs)


def fuse_blocks(
    record: Record,
    planned: Plan,
    judged: Judged,
    filling: Filling,
    seed: int,
    progress: Progress,
    take: Callable[[int, xr.Dataset], None],
    made: Callable[[int], xr.Dataset | None] = lambda place: None,
) -> dict[str, Any]:
    """Fill all blocks, one after the other.

    Parameters
    ----------
    record, planned, judged, filling, seed
        What is fused, and how.
    progress
        Told after each block.
    take
        Called with each block that was filled.
    made
        Gives a block that a stopped run has finished, or None.

    Returns
    -------
    dict
        What is told of the fusion: scores, seams, origins, seconds.
    """
    account, started = Account.begin(), time.perf_counter()
    for place in range(len(planned.blocks)):
        progress(place, len(planned.blocks), f"gaps by {judged.method}")
        cube = made(place)
        if cube is None:
            cube = fill_block(record, planned, judged, filling, place, seed=seed)
            take(place, cube)
        account.add(cube)
    progress(len(planned.blocks), len(planned.blocks), "done")
    seconds = round(time.perf_counter() - started, 1)
    told: dict[str, Any] = plain(
        {**judged.told, **account.told(), "blocks": len(planned.blocks), "seconds": seconds}
    )
    return told
