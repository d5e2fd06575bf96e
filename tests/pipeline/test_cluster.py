"""The workers of a cluster make the bytes that this process makes, also where one of them dies."""

from __future__ import annotations

import os
import shutil
import signal
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

from vadose import pipeline
from vadose.errors import RunProblem
from vadose.pipeline import workers
from vadose.pipeline.downscaling import How
from vadose.store import copy_store, open_cube, sha256

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore")  # of tornado and of distributed as they close

METHODS = {
    "forest": {
        "title": "forest",
        "kind": "direct",
        "model": "random_forest",
        "parameters": {"trees": 6},
    },
    "forest_closed": {"title": "closed forest", "kind": "close", "of": ["forest"]},
}


def stores(run: Path) -> dict[str, str]:
    """Hash every store of a run."""
    folders = [*sorted((run / "predictions").glob("*.zarr")), run / "product.zarr"]
    return {folder.name: sha256(folder) for folder in folders}


@pytest.fixture(scope="module")
def fitted(two_layers, tmp_path_factory):
    out = tmp_path_factory.mktemp("fitted") / "run"
    pipeline.build(two_layers(METHODS), out)
    return pipeline.fit(out)


@pytest.fixture(scope="module")
def whole(fitted, tmp_path_factory):
    """A run made by the threads of this process."""
    out = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(fitted, out)
    return pipeline.downscale(out, how=How(cells=1, workers=2))


@contextmanager
def cluster(count: int):
    """Start processes with a scheduler, and end them."""
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None
        ) as one,
    ):
        warnings.simplefilter("ignore")
        yield one


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_make_the_same_bytes(count, fitted, whole, tmp_path):
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    with cluster(count) as one:
        pipeline.downscale(run, how=How(cells=1, scheduler=one.scheduler_address))
    assert stores(run) == stores(whole)


def test_a_worker_that_is_killed_takes_no_tile_with_it(fitted, whole, tmp_path):
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    killed: list[int] = []
    with cluster(2) as one:

        @contextmanager
        def bar(words):
            def step(done, total, note=""):
                if "forest" in words and done >= 3 and not killed:
                    pid = next(iter(one.workers.values())).pid
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)

            yield step

        how = How(cells=1, scheduler=one.scheduler_address)
        pipeline.downscale(run, how=how, progress=bar)
    assert killed
    assert stores(run) == stores(whole)


def test_an_address_without_a_scheduler_is_one_clear_error(fitted, tmp_path, monkeypatch):
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    monkeypatch.setattr(workers, "PATIENCE", 0.5)
    with pytest.raises(RunProblem, match=r"--scheduler tcp://127\.0\.0\.1:9: found no dask") as one:
        pipeline.downscale(run, how=How(cells=1, scheduler="tcp://127.0.0.1:9"))
    assert "such as tcp://10.0.0.1:8786" in str(one.value)
    assert not list((run / "predictions").glob("*.zarr"))


def test_a_scheduler_without_workers_is_told(fitted, tmp_path):
    with cluster(0) as one, pytest.raises(RunProblem, match="a scheduler without workers"):
        workers.Cluster(one.scheduler_address)


def test_cubes_and_product_in_an_object_store(fitted, whole, tmp_path):
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    root = f"memory://{tmp_path.name}"
    for name in ("fine", "coarse"):
        copy_store(run / f"{name}.zarr", f"{root}/cubes/{name}.zarr")
        shutil.rmtree(run / f"{name}.zarr")
    how = How(cells=2, workers=2, cubes=f"{root}/cubes/", out=f"{root}/out")
    pipeline.downscale(run, how=how)
    product = open_cube(f"{root}/out/product.zarr").load()
    assert product.identical(open_cube(whole / "product.zarr").load())
    assert not (run / "product.zarr").exists()
    pipeline.downscale(run, how=how)  # nothing is left to do, and nothing is undone
    assert open_cube(f"{root}/out/product.zarr").load().identical(product)
