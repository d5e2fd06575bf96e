"""Power spectra of maps: how much varies at which wavelength, and how much of it two maps have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy import fft, sparse
from scipy.signal.windows import hann

from vadose.errors import ValueProblem
from vadose.grids import grid_of
from vadose.validate.resolution import as_given, cell_lengths, described, together

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Cells along each side of a box, unless the caller asks for another number.
BOX = 64
#: Smallest box with rings to speak of.
SMALLEST = 8


def spectra(
    products: Mapping[str, xr.DataArray], *, reference: str | None = None, box: int = BOX
) -> xr.Dataset:
    """Give the isotropic power spectra of products in the boxes where all of them are free of gaps.

    A plane is taken off each box, a Hann window laid on it, and the power averaged over rings of equal
    wavelength on the ground. Boxes overlap by half.

    Parameters
    ----------
    products
        Fields by name, dims ``[time,] y, x``, on one grid; the reference among them.
    reference
        Name of the reference, for the part of the pattern in common.
    box
        Cells along each side of a box; the longest wavelength is as long.

    Returns
    -------
    xarray.Dataset
        ``variance (product[, time], scale)``, power density in the unit of the data squared times km²;
        ``covariance``, the same with the reference (NaN without one); ``number ([time,] scale)``, Fourier
        modes behind them; ``boxes ([time])``; ``wavelength (scale)`` in km, which falls. NaN
        on days without a box.

    Raises
    ------
    CubeProblem
        Dims, days or grids that differ.
    ValueProblem
        A box that is too small or larger than the map, or none without gaps on any day.
    UnknownName
        No such reference.

    References
    ----------
    Welch (1967), IEEE Trans. Audio Electroacoust. 15:70 (windowed, overlapping pieces); Skamarock (2004),
    Mon. Weather Rev. 132:3019 (effective resolution from spectra).

    Examples
    --------
    >>> from vadose.grids import coordinates, named_grid
    >>> grid = named_grid("EASE2_9km")[500:564, 900:964]
    >>> noise = np.random.default_rng(0).standard_normal(grid.shape)
    >>> field = xr.DataArray(noise, dims=("y", "x"), coords=coordinates(grid))
    >>> told = spectra({"noise": field}, box=32)
    >>> told["wavelength"].values[[0, -1]].round().tolist(), int(told["boxes"])
    ([315.0, 20.0], 9)
    """
    fields, common = together(products, reference)
    rows, columns = common.sizes["y"], common.sizes["x"]
    if not SMALLEST <= box <= min(rows, columns):
        raise ValueProblem(
            "box",
            found=f"{box} cells on a map of {rows} x {columns}",
            expected=f"{SMALLEST} to {min(rows, columns)}",
        )
    places = _Places.of(grid_of(common), box)
    steps = common.sizes["time"]
    shape = (len(fields), steps, places.rings)
    variance, covariance = np.zeros(shape), np.zeros(shape)
    number, boxes = np.zeros((steps, places.rings)), np.zeros(steps, dtype="i8")
    base = None if reference is None else list(products).index(reference)
    for step in range(steps):
        maps = np.stack([one.isel(time=step).values.astype("f8") for one in fields])
        for row, start in enumerate(places.row_starts):
            cut = _boxes(maps[:, start : start + box], places.column_starts, box)
            cut = cut[np.isfinite(cut).all(axis=(1, 2, 3))]
            if not len(cut):
                continue
            waves = fft.rfft2(_windowed(cut))
            average, modes = places.ring_sums(row)
            boxes[step] += len(cut)
            number[step] += len(cut) * modes
            scale = places.cell_areas[row]
            variance[:, step] += scale * _summed(np.abs(waves) ** 2, average)
            if base is not None:
                common_power = (waves * waves[:, base : base + 1].conj()).real
                covariance[:, step] += scale * _summed(common_power, average)
    if not boxes.any():
        raise ValueProblem(
            "products",
            found=f"no box of {box} x {box} cells without gaps on any of {steps} days",
            expected="one or more",
            remedy="Take smaller boxes, or vadose.validate.variogram, which allows for gaps.",
        )
    result = described(
        np.divide(variance, number, out=np.full(shape, np.nan), where=number > 0),
        np.divide(covariance, number, out=np.full(shape, np.nan), where=number > 0),
        number,
        1.0 / places.wavenumbers,
        reference,
    )
    result["boxes"] = "time", boxes
    return as_given(result, products, common)


@dataclass(frozen=True)
class _Places:
    """Hold where boxes lie, and the lengths of their waves, which differ from row to row."""

    box: int
    row_starts: Integers
    column_starts: Integers
    heights: Floats
    widths: Floats
    wavenumbers: Floats

    @classmethod
    def of(cls, grid: GeoBox, box: int) -> _Places:
        starts = [np.arange(0, size - box + 1, box // 2) for size in grid.shape]
        centres = [one + box // 2 for one in starts]
        lengths = cell_lengths(grid, centres[0][:, None], centres[1][None, :])
        height, width = (one.mean(axis=1) for one in lengths)
        # rings that every box can fill: as wide as the step of the largest cells
        step = 1.0 / (box * max(height.max(), width.max()))
        return cls(box, starts[0], starts[1], height, width, step * np.arange(1, box // 2 + 1))

    @property
    def rings(self) -> int:
        return self.wavenumbers.size

    @property
    def cell_areas(self) -> Floats:
        return self.heights * self.widths

    def ring_sums(self, row: int) -> tuple[Any, Floats]:
        """Give the matrix that sums the modes of each ring, and how many these are."""
        down = fft.fftfreq(self.box, self.heights[row])[:, None]
        across = fft.rfftfreq(self.box, self.widths[row])[None, :]
        ring = np.rint(np.hypot(down, across) / self.wavenumbers[0]).astype(int).ravel()
        # half of the plane stands for all of it, but for the waves that are their own mirror image
        weight = np.full((self.box, across.size), 2.0)
        weight[:, 0] = 1.0
        weight[:, -1] = 1.0 if self.box % 2 == 0 else 2.0
        is_in = (ring >= 1) & (ring <= self.rings)
        matrix = sparse.csr_array(
            (weight.ravel()[is_in], (ring[is_in] - 1, np.flatnonzero(is_in))),
            shape=(self.rings, ring.size),
        )
        return matrix, np.asarray(matrix.sum(axis=1), dtype="f8").ravel()


def _boxes(band: Floats, starts: Integers, box: int) -> Floats:
    """Cut a band of maps ``(product, box, x)`` into ``(box, product, y, x)``."""
    return np.stack([band[:, :, start : start + box] for start in starts])


def _windowed(cut: Floats) -> Floats:
    """Take off a plane, and lay a window of unit power on each box."""
    box = cut.shape[-1]
    line = np.linspace(-1.0, 1.0, box)
    planes = np.stack([np.ones((box, box)), *np.meshgrid(line, line)]).reshape(3, -1)
    planes /= np.linalg.norm(planes, axis=1, keepdims=True)
    flat = cut.reshape(*cut.shape[:2], -1)
    rest = (flat - (flat @ planes.T) @ planes).reshape(cut.shape)
    window = np.outer(hann(box, sym=False), hann(box, sym=False))
    return np.asarray(rest * (window / np.sqrt((window**2).sum())))


def _summed(power: Floats, matrix: Any) -> Floats:
    """Sum over boxes and the modes of each ring: ``(product, ring)``."""
    total = power.sum(axis=0)
    return np.asarray((matrix @ total.reshape(len(total), -1).T).T)
