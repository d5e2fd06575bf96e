"""The stage that predicts: a plan of every store, then the stores one after the other, then the product."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from vadose.config import Method
from vadose.pipeline.calibrating import KEPT, calibrated
from vadose.pipeline.closing import make_correction
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.memory import parse_bytes
from vadose.pipeline.passes import PRODUCT, Pass, opened
from vadose.pipeline.planning import Estimate, estimated, moved, timed
from vadose.pipeline.tiling import Places, make_store
from vadose.pipeline.workers import Cluster, Threads, Workers
from vadose.store import open_cube, write_months

#: Opens a bar.
Progress = Callable[[str], AbstractContextManager[Callable[..., None]]]


@dataclass(frozen=True)
class How:
    """Say with what means to downscale.

    Attributes
    ----------
    max_mem
        Memory that this process, or each worker of a cluster, may take.
    workers
        Threads; as many as there are processors unless given.
    scheduler
        Address of a dask scheduler, to work on its cluster.
    cells
        Coarse cells along the side of a tile; chosen by the memory unless given.
    cubes
        Folder or URL with ``coarse.zarr`` and ``fine.zarr``; the run's own unless given.
    out
        Folder or URL for predictions and product; the run's own unless given.
    """

    max_mem: str = "4GB"
    workers: int | None = None
    scheduler: str | None = None
    cells: int | None = None
    cubes: str | None = None
    out: str | None = None


@dataclass(frozen=True)
class Planned:
    """Hold a pass, the model it needs and what it costs."""

    one: Pass
    title: str
    model: Path | None
    cost: Estimate


def places_of(folder: RunFolder, how: How) -> Places:
    """Find where cubes are read and predictions are written."""
    root = str(folder.path) if how.out is None else how.out.rstrip("/")
    return Places(
        cubes=str(folder.path) if how.cubes is None else how.cubes.rstrip("/"),
        stores=f"{root}/predictions",
        product=f"{root}/product.zarr",
        ledgers=folder / "predictions",
    )


def plan_all(folder: RunFolder, how: How, attributes: Mapping[str, str]) -> Iterator[Planned]:
    """Plan every store of a run: its tiles, bytes, memory and time.

    Raises
    ------
    RecipeProblem
        When the memory is too small for a method.
    """
    recipe, places = folder.recipe, places_of(folder, how)
    text = folder.state["recipe"]
    token, budget = secrets.token_hex(4), parse_bytes(how.max_mem)
    for name in (*recipe.methods, PRODUCT):
        method = recipe.methods.get(name)
        model = None
        if method is not None and method.model is not None:
            model = folder / f"models/{name}"
        # the tiling is not known yet, and not looked at before it is
        one = Pass(name, text, places.cubes, places.stores, "", None, f"plan-{token}")  # type: ignore[arg-type]
        one = replace(one, attributes=dict(attributes) if name == PRODUCT else {})
        ready = opened(one, model)
        size = 0 if model is None else sum(f.stat().st_size for f in model.rglob("*"))
        cost = estimated(
            ready,
            recipe.target,
            budget=budget,
            workers=how.workers,
            cells=how.cells,
            fixed=_earlier(places, name),
            model_bytes=size,
        )
        is_wrapper = method is None or bool(method.of)
        cost = moved(cost) if is_wrapper else timed(ready, cost)
        one = replace(one, tiling=cost.tiling, place=places.unfinished(name), run=token)
        yield Planned(one, method.title if method is not None else "Product", model, cost)


def _earlier(places: Places, name: str) -> dict[str, int] | None:
    """Give the tiles that were begun with: other ones would have to begin anew."""
    try:
        earlier = json.loads(_tiles(places, name).read_text(encoding="utf-8"))
        return {dim: int(earlier[dim]) for dim in ("y", "x", "time")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tiles(places: Places, name: str) -> Path:
    return places.ledgers / f"{name}.tiles.json"


def make_all(folder: RunFolder, how: How, planned: list[Planned], progress: Progress) -> None:
    """Make every store of a plan, and the product's netCDF files.

    Raises
    ------
    VadoseError
        What kept tiles from being made; those that are finished stay so.
    """
    recipe, places = folder.recipe, places_of(folder, how)
    places.ledgers.mkdir(exist_ok=True)
    if how.out is None:
        Path(places.stores).mkdir(exist_ok=True)
    cluster = Cluster(how.scheduler) if how.scheduler is not None else None
    try:
        for each in planned:
            tiling = each.one.tiling
            sides = {**tiling.cells, "time": tiling.together}
            folder.write_json(str(_tiles(places, each.one.name).relative_to(folder.path)), sides)
            workers: Workers = cluster or Threads(each.cost.workers)
            words = (
                "Writing the product" if each.one.name == PRODUCT else f"Downscaling: {each.title}"
            )
            with progress(words) as step:
                one = each.one
                method = recipe.methods.get(one.name)
                if method is not None and method.kind == "close":
                    one = make_correction(one, workers, places.ledgers, step)
                if method is None and recipe.intervals is not None:
                    step(0, len(tiling), "calibrating intervals")
                    found = calibrated(folder, places.stores)
                    folder.write_json(KEPT, found)
                    one = replace(one, intervals=json.dumps(found["intervals"]))
                make_store(
                    one,
                    each.model,
                    workers,
                    places,
                    is_packed=recipe.packed and _is_bounded(method),
                    step=step,
                )
    finally:
        if cluster is not None:
            cluster.close()
    if how.out is None:
        with progress("Writing netCDF"):
            product = open_cube(places.product)
            write_months(
                product,
                folder.path,
                "product",
                overwrite=True,
                packed=recipe.packed,
                key=product.attrs["history"],
            )


def _is_bounded(method: Method | None) -> bool:
    """Tell whether a method's values lie within the valid range, so that codes stand for all of them."""
    if method is None or method.kind in ("nearest", "smooth", "close"):
        return True
    return method.kind in ("direct", "multiscale") and method.model == "random_forest"
