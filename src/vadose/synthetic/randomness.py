"""Random streams named after what they drive, and random fields with the roughness of nature."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]


def stream(seed: int, name: str) -> np.random.Generator:
    """Give the generator of one component, independent of all others.

    A stream per component keeps the truth as it is when a change elsewhere, such as more noise or
    fewer stations, draws other numbers.

    Examples
    --------
    >>> stream(0, "storms").random() == stream(0, "storms").random()
    True
    >>> stream(0, "storms").random() == stream(0, "satellite").random()
    False
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(name.encode())))


def rough_field(rng: np.random.Generator, size: int, *, exponent: float) -> Field:
    """Draw a Gaussian field whose power falls with wavenumber to the power of `-exponent`.

    Parameters
    ----------
    rng
        Source of randomness.
    size
        Cells along each side.
    exponent
        3 to 4 is smooth as terrain, 2 is rough; see Turcotte (1997).

    Returns
    -------
    numpy.ndarray
        Dims ``y, x``; mean 0, standard deviation 1 over the window.

    References
    ----------
    Turcotte (1997), Fractals and Chaos in Geology and Geophysics, ch. 7.

    Examples
    --------
    >>> field = rough_field(stream(0, "terrain"), 32, exponent=3.0)
    >>> field.shape, abs(float(field.mean())) < 1e-12
    ((32, 32), True)
    """
    # The Fourier series is periodic: half of a window twice as large shows no repetition.
    period = 2 * size
    rows, columns = np.fft.fftfreq(period)[:, None], np.fft.rfftfreq(period)[None, :]
    wavenumber = np.hypot(rows, columns)
    wavenumber[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((period, period))) * wavenumber ** (-exponent / 2)
    field = np.fft.irfft2(spectrum, s=(period, period))[:size, :size]
    return np.asarray((field - field.mean()) / field.std())
