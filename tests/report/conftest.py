"""Small run folders, as a finished job would leave them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.grids import coarsened, coordinates, latlon, named_grid
from vadose.report.plates import Picture
from vadose.schema import VARIABLES

GRIDS: dict[str, GeoBox] = {
    "globe": latlon(5.625),
    "ease": named_grid("EASE2_36km")[96:128, 480:528],
    "utm": GeoBox.from_bbox((5e5, 4.9e6, 5.64e5, 4.948e6), "EPSG:32632", resolution=1000),
}
FACTOR = 4


def metrics(product: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
    error = product - truth
    spread = product.std() * truth.std()
    covariance = float(((product - product.mean()) * (truth - truth.mean())).mean())
    return {
        "n": error.size,
        "r": covariance / spread if spread > 1e-12 else None,
        "bias": float(error.mean()),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "ubrmse": float(error.std()),
        "r2": float(1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum()),
    }


def scores_of(fields: dict[str, np.ndarray], truth: np.ndarray) -> dict[str, Any]:
    valid = np.isfinite(truth)
    methods: dict[str, Any] = {}
    for name, field in fields.items():
        methods[name] = {
            "title": name.replace("_", " ").capitalize(),
            "is_baseline": name in ("nearest", "smooth"),
            "pooled": metrics(field[valid], truth[valid]),
            "within_cell": metrics(inside(field)[valid], inside(truth)[valid]),
            "closure_max": None if name == "forest" else 1e-9,
        }
    for name in fields:
        for base in ("nearest", "smooth"):
            mine, other = methods[name], methods[base]
            both = (mine["within_cell"]["r"], other["within_cell"]["r"])
            methods[name][f"gain_over_{base}"] = {
                "rmse": other["pooled"]["rmse"] - mine["pooled"]["rmse"],
                "r": mine["pooled"]["r"] - other["pooled"]["r"],
                "within_cell_r": None if None in both else both[0] - both[1],
            }
    best = min(methods, key=lambda name: methods[name]["pooled"]["rmse"])
    return {
        "target": "soil_moisture",
        "unit": "m3 m-3",
        "n": int(valid.sum()),
        "best": best,
        "methods": methods,
    }


def blocks(field: np.ndarray) -> np.ndarray:
    """Give the mean of every block, gaps left out, as a field of full size."""
    rows, columns = field.shape
    parts = field.reshape(rows // FACTOR, FACTOR, columns // FACTOR, FACTOR)
    valid = np.isfinite(parts)
    with np.errstate(invalid="ignore"):
        means = np.where(valid, parts, 0).sum((1, 3)) / valid.sum((1, 3))
    return np.kron(means, np.ones((FACTOR, FACTOR)))


def inside(field: np.ndarray) -> np.ndarray:
    return field - blocks(field)


def save(path: Path, grid: GeoBox, variables: dict[str, np.ndarray]) -> None:
    times = np.array(["2019-07-01"], "M8[ns]")
    cube = xr.Dataset(
        {name: (("time", "y", "x"), values[None]) for name, values in variables.items()},
        coords={**coordinates(grid), "time": times},
    )
    for name in variables:
        cube[name].attrs = VARIABLES[name].attributes()
    cube.to_zarr(path, mode="w", consolidated=False)


def make_run(
    folder: Path, grid_name: str = "globe", *, truth: bool = True, **manifest: Any
) -> Path:
    """Write a run whose forest alone is bad and whose closed residual forest is good."""
    rng = np.random.default_rng(7)
    grid = GRIDS[grid_name]
    rows, columns = grid.shape
    wave = np.sin(np.linspace(0, 9, rows))[:, None] * np.cos(np.linspace(0, 7, columns))
    field = 0.25 + 0.1 * wave + 0.03 * rng.normal(size=(rows, columns))
    field[: rows // 4, : columns // 4] = np.nan
    nearest = blocks(field)
    detail = np.nan_to_num(inside(field))
    noise = 0.03 * rng.normal(size=field.shape)
    good = nearest + 0.8 * detail + 0.1 * inside(noise)
    fields = {
        "nearest": nearest,
        "smooth": nearest + 0.1 * detail + 0.1 * inside(noise),
        "residual_forest_closed": good,
        "forest": nearest + 0.3 * detail + 3 * noise,
    }
    folder.mkdir(parents=True, exist_ok=True)
    scores = scores_of(fields, field)
    (folder / "scores.json").write_text(json.dumps(scores))
    content = {
        "title": "A small world",
        "command": "vadose run recipe.yaml --out runs/small",
        "vadose": "0.1.0",
        "commit": "0123abcd",
        "python": "3.11.9",
        "platform": "Linux",
        "seed": 7,
        "started": "2026-11-21T06:00:00+00:00",
        "seconds": 12.5,
        "libraries": {"numpy": "2.4.1"},
        "inputs": [
            {
                "name": "world.nc",
                "sha256": "ab" * 32,
                "licence": "CC0-1.0",
                "citation": "Somebody (2020), https://doi.org/10.1000/182.",
            }
        ],
        "target": "soil_moisture",
        "method": "residual_forest_closed",
        "warnings": ["The split is random and flatters.", "The predictors are coarse themselves."],
        **manifest,
    }
    (folder / "manifest.json").write_text(json.dumps(content))
    (folder / "recipe.yaml").write_text("target: soil_moisture\nseed: 7\n")
    (folder / "importances.csv").write_text(
        "predictor,importance,std\nelevation,0.2,0.01\nclay_content,0.5,0.02\n"
    )
    valid = np.isfinite(field)
    residual = (blocks(good) - nearest).astype("f4")
    residual[valid & (rng.random(field.shape) < 0.1)] += 1e-3
    origin = np.where(valid, 2, 0).astype("u1")
    origin[valid & (rng.random(field.shape) < 0.1)] = 4
    save(
        folder / "product.zarr",
        grid,
        {"soil_moisture": good.astype("f4"), "origin": origin, "closure_residual": residual},
    )
    coarse = nearest[::FACTOR, ::FACTOR].astype("f4")
    save(folder / "coarse.zarr", coarsened(grid, FACTOR), {"soil_moisture": coarse})
    if truth:
        save(folder / "truth.zarr", grid, {"soil_moisture": field.astype("f4")})
    return folder


@pytest.fixture
def build_run() -> Callable[..., Path]:
    return make_run


@pytest.fixture(autouse=True, scope="session")
def coarse_pictures() -> Iterator[None]:
    """Draw with few dots: what is tested is what is drawn, not how finely."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vadose.report.style.DOTS_PER_INCH", 60)
        yield


@pytest.fixture
def told_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: what is told is looked at."""
    monkeypatch.setattr(
        "vadose.report.html.draw_plates",
        lambda plates, *_: {one.name: Picture(one.name, b"", one.alternative) for one in plates},
    )


@pytest.fixture(scope="session")
def globe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "globe")
