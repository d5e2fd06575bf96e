"""The correction solves what `smooth` and `area_mean` say, and tiles of a map close as the whole."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import area_mean, smooth
from vadose.downscale.closure import balance, corrected, solve
from vadose.downscale.conserve import close, residual
from vadose.downscale.stencil import NEIGHBOURS, Surroundings
from vadose.errors import GridProblem
from vadose.grids import coarsened, coordinates, grid_of, latlon, named_grid

FREE = (-100.0, 100.0)
MAPS = {
    "degrees": latlon(0.1, (100.0, 57.0, 104.0, 60.0)),  # 30 x 40, factor 5
    "EASE": named_grid("EASE2_1km")[3600:3816, 27000:27288],  # 216 x 288, factor 36
    "globe": latlon(9.0),  # 20 x 40, factor 5
}


def on(grid: GeoBox, values: np.ndarray) -> xr.DataArray:
    dims = ("member", "time", "y", "x")[-values.ndim :]
    return xr.DataArray(values, dims=dims, coords=coordinates(grid), name="soil_moisture")


def case(
    kind: str, *, gaps: float = 0.3, steps: int = 3, roughness: float = 0.05
) -> tuple[xr.DataArray, xr.DataArray]:
    """Make fields with a coast, gaps of their own and gaps of the coarse values."""
    fine = MAPS[kind]
    factor = 36 if kind == "EASE" else 5
    coarse = coarsened(fine, factor)
    rng = np.random.default_rng(0)
    values = 0.25 + roughness * rng.standard_normal((steps, *fine.shape))
    values[rng.random(values.shape) < gaps] = np.nan
    rows, columns = np.indices(fine.shape) / factor
    values[:, (rows - 2) ** 2 + (columns - 5) ** 2 < 2.0] = np.nan  # a sea over several cells
    wanted = 0.25 + 0.04 * rng.standard_normal((steps, *coarse.shape))
    wanted[rng.random(wanted.shape) < gaps / 2] = np.nan
    return on(fine, values.astype("f4")), on(coarse, wanted.astype("f4"))


def operator(field: xr.DataArray, coarse: xr.DataArray) -> np.ndarray:
    """Build the matrix column by column: the means of the interpolated unit vectors."""
    columns = []
    for place in range(coarse.size):
        unit = np.zeros(coarse.shape)
        unit.flat[place] = 1.0
        response = smooth(coarse.copy(data=unit), grid_of(field)).where(field.notnull())
        columns.append(area_mean(response, grid_of(coarse), min_valid=0.0).values.ravel())
    return np.array(columns).T


def beside(row: int, column: int, shape: tuple[int, int], *, wraps: bool) -> list[int]:
    """Name the neighbours of a cell that are on the map."""
    found = []
    for down, right in NEIGHBOURS:
        y, x = row + down, (column + right) % shape[1] if wraps else column + right
        if (down or right) and 0 <= y < shape[0] and 0 <= x < shape[1]:
            found.append(y * shape[1] + x)
    return found


def extension(is_equation: np.ndarray, *, wraps: bool) -> np.ndarray:
    """Build the matrix that continues a correction, row by row."""
    matrix = np.diag(is_equation.ravel().astype("f8"))
    for row, column in np.argwhere(~is_equation):
        asked = [
            place
            for place in beside(row, column, is_equation.shape, wraps=wraps)
            if is_equation.flat[place]
        ]
        if asked:
            matrix[row * is_equation.shape[1] + column, asked] = 1 / len(asked)
    return matrix


# --- the linear problem ---


@pytest.mark.parametrize("kind", MAPS)
def test_the_stencil_is_what_interpolation_does_to_the_means(kind: str) -> None:
    field, coarse = (array[0] for array in case(kind))
    found = balance(field, coarse, bounds=FREE)
    assert found["stencil"].dims == ("neighbour", "y", "x")
    assert np.allclose(
        found["mean"], area_mean(field, grid_of(coarse), min_valid=0.0), rtol=0, equal_nan=True
    )
    is_known = coarse.notnull().values.ravel()
    expected = np.where(is_known[:, None], np.nan_to_num(operator(field, coarse)), 0.0)
    rows, columns = coarse.shape
    dense = np.zeros_like(expected)
    for place, (down, right) in enumerate(NEIGHBOURS):
        for row, column in np.ndindex(rows, columns):
            aside = (column + right) % columns if kind == "globe" else column + right
            share = float(found["stencil"][place, row, column])
            if 0 <= row + down < rows and 0 <= aside < columns:
                dense[row * columns + column, (row + down) * columns + aside] += share
            else:
                assert share == 0.0, "nothing lies beyond the map"
    assert np.allclose(dense, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ["degrees", "globe"])
def test_the_correction_is_that_of_a_dense_solution(kind: str) -> None:
    field, coarse = (array[0] for array in case(kind))
    left = residual(field, coarse).values
    is_equation = np.isfinite(left)
    assert 0.5 < is_equation.mean() < 0.95, "gaps and a sea must be part of this test"
    continued = extension(is_equation, wraps=kind == "globe")
    asked = np.flatnonzero(is_equation)
    matrix = (operator(field, coarse) @ continued)[np.ix_(asked, asked)]
    expected = continued[:, asked] @ np.linalg.solve(matrix, left.ravel()[asked])
    found = solve(balance(field, coarse, bounds=FREE), coarse, bounds=FREE, tolerance=5e-4)
    assert np.allclose(found.values.ravel(), expected, rtol=0, atol=1e-8)
    closed = close(field, coarse, bounds=FREE)
    shift = smooth(coarse.copy(data=expected.reshape(coarse.shape)), grid_of(field))
    assert np.allclose(closed, field - shift, rtol=0, atol=1e-7, equal_nan=True)
    assert float(abs(residual(closed, coarse)).max()) < 1e-8, "far below the tolerance"


def test_each_pass_of_the_former_rule_leads_to_the_same_field() -> None:
    """Subtracting the interpolated residual over and over has the same limit."""
    field, coarse = (array[0] for array in case("degrees", gaps=0.1))
    continued = extension(residual(field, coarse).notnull().values, wraps=False)
    slow = field.astype("f8")
    for _ in range(150):
        left = continued @ residual(slow, coarse).fillna(0.0).values.ravel()
        slow = slow - smooth(coarse.copy(data=left.reshape(coarse.shape)), grid_of(field))
    assert np.allclose(close(field, coarse, bounds=FREE), slow, rtol=0, atol=1e-6, equal_nan=True)


def test_a_correction_goes_on_beyond_the_coast() -> None:
    """A coarse cell with a value but no fine one follows its neighbours, and is not zero."""
    field, coarse = case("degrees", gaps=0.0, steps=1)
    wet = on(grid_of(field), field.values + 0.1)
    coarse = area_mean(field, grid_of(coarse), min_valid=0.0).fillna(0.9)
    found = solve(balance(wet, coarse, bounds=FREE), coarse, bounds=FREE, tolerance=5e-4)
    assert residual(wet, coarse).isnull().any()
    assert np.allclose(found, 0.1, rtol=0, atol=1e-6)


def test_surroundings_are_means_of_what_has_an_equation() -> None:
    is_equation = np.array([[True, False, False, False, False, False, True]])
    around = Surroundings(is_equation, wraps=False)
    values = np.array([[0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3]])
    assert around.spread(values)[1].tolist() == [0, 0.1, 0.1, 0, 0, 0, 0.3, 0.3, 0]
    globe = Surroundings(is_equation, wraps=True)
    assert globe.spread(values)[1].tolist() == [0.3, 0.1, 0.1, 0, 0, 0, 0.3, 0.3, 0.1]


@pytest.mark.parametrize("kind", MAPS)
def test_an_edge_of_the_coarse_map_leaves_none_in_the_fine_one(kind: str) -> None:
    """A swath that is wetter than the model: what is added fades out, and nowhere steps."""
    fine = MAPS[kind]
    factor = 36 if kind == "EASE" else 5
    grid = coarsened(fine, factor)
    wanted = np.full(grid.shape, np.nan)
    rows, columns = np.indices(grid.shape)
    wanted[(columns > 1) & (columns < 5) & (rows > 0) & (rows < rows.max() - columns % 2)] = 0.3
    closed = close(on(fine, np.full(fine.shape, 0.2)), on(grid, wanted), bounds=(0.0, 0.6))
    assert float(closed.max()) > 0.29
    steps = max(float(abs(closed.diff(dim)).max()) for dim in ("y", "x"))
    most = float(abs(closed - 0.2).max()) * 2 / factor  # between a value and nothing, twice over
    assert steps < 1.01 * most
    rest = int(np.ceil(1.5 * factor))  # behind the westernmost column of the swath
    assert (closed[:, : max(0, 2 * factor - rest)] == 0.2).all()


def test_cells_that_share_but_a_corner_get_no_wild_correction() -> None:
    """Four islands at one corner: the equations are nearly one, and close by cell instead."""
    fine = latlon(1.0, (0, 0, 72, 72))
    coarse = coarsened(fine, 36)
    values = np.full(fine.shape, np.nan)
    values[35:37, 35:37] = 0.25
    wanted = on(coarse, np.array([[0.1, 0.4], [0.4, 0.1]]))
    field = on(fine, values)
    found = solve(balance(field, wanted, bounds=(0, 1)), wanted, bounds=(0, 1), tolerance=5e-4)
    assert float(abs(found).max()) == pytest.approx(8 * 0.15), "held at the limit"
    closed = close(field, wanted, bounds=(0.0, 1.0))
    assert np.allclose(closed[35:37, 35:37], wanted, rtol=0, atol=1e-3)


def test_steps_are_solved_by_themselves() -> None:
    field, coarse = case("degrees")
    known = balance(field, coarse, bounds=FREE)
    both = solve(known, coarse, bounds=FREE, tolerance=5e-4)
    for step in range(3):
        alone = solve(known.isel(time=step), coarse[step], bounds=FREE, tolerance=5e-4)
        assert np.array_equal(alone, both[step], equal_nan=True)


# --- tiles ---


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("bounds", [FREE, (0.2, 0.27)])
def test_tiles_close_as_the_whole_map(kind: str, bounds: tuple[float, float]) -> None:
    field, coarse = case(kind)
    factor = 36 if kind == "EASE" else 5
    whole = close(field, coarse, bounds=bounds)
    rows, columns = coarse.shape[1:]
    tiles = [(y, x) for y in range(0, rows, 2) for x in range(0, columns, 3)]

    def windows(y: int, x: int) -> tuple[xr.DataArray, dict[str, slice], dict[str, slice]]:
        under = {"y": slice(y, min(y + 2, rows)), "x": slice(x, min(x + 3, columns))}
        tile = {dim: slice(s.start * factor, s.stop * factor) for dim, s in under.items()}
        beyond = {dim: slice(max(s.start - 1, 0), s.stop + 1) for dim, s in under.items()}
        if kind == "globe":
            beyond["x"] = slice(None)  # the neighbours across the date line
        return field.isel(tile), under, beyond

    parts: list[list[xr.Dataset]] = []
    for y, x in tiles:
        part, under, beyond = windows(y, x)
        known = balance(part, coarse.isel(beyond), bounds=bounds)
        assert known["mean"].shape == coarse.isel(under).shape
        if x == 0:
            parts.append([])
        parts[-1].append(known)
    together = xr.concat([xr.concat(row, "x") for row in parts], "y")
    expected = balance(field, coarse, bounds=bounds)
    assert np.array_equal(together["stencil"], expected["stencil"])
    assert np.array_equal(together["mean"], expected["mean"], equal_nan=True)
    correction = solve(together, coarse, bounds=bounds, tolerance=5e-4)
    for y, x in tiles:
        part, _, beyond = windows(y, x)
        found = corrected(
            part, correction.isel(beyond), coarse.isel(beyond), bounds=bounds, tolerance=5e-4
        )
        tile = whole.isel(
            y=slice(y * factor, y * factor + found.sizes["y"]),
            x=slice(x * factor, x * factor + found.sizes["x"]),
        )
        assert np.array_equal(found, tile, equal_nan=True)
    if bounds != FREE:
        low, high = bounds
        is_at_bound = (whole == low) | (whole == high)
        assert float(is_at_bound.mean()) > 0.1, "clipping must be part of this test"


def test_a_field_on_disk_closes_as_in_memory() -> None:
    field, coarse = case("degrees")
    lazy = close(field.chunk(time=1, y=7), coarse.chunk(time=2), bounds=FREE)
    assert np.array_equal(lazy, close(field, coarse, bounds=FREE), equal_nan=True)


def test_a_balance_of_another_map_is_refused() -> None:
    field, coarse = case("degrees")
    known = balance(field, coarse, bounds=FREE)
    with pytest.raises(GridProblem, match="whole blocks of fine cells, on the same rectangle"):
        solve(known.isel(y=slice(1, None)), coarse, bounds=FREE, tolerance=5e-4)
    with pytest.raises(GridProblem, match="the fine ones over some or all of them"):
        balance(field.isel(y=slice(1, None)), coarse, bounds=FREE)
