"""How sure the values of a product are at one place, as a band around its series."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vadose.serve.answers import Band, numbers_of
from vadose.serve.catalogue import Catalogue, Layer
from vadose.serve.fields import cell_at


def band_at(catalogue: Catalogue, name: str, longitude: float, latitude: float) -> Band | None:
    """Give the interval of a product at a place, else its standard error or spread on both sides."""
    layers, product = catalogue.layers, catalogue.layers.get(name)
    place = cell_at(product.source.grid, longitude, latitude) if product is not None else None
    if product is None or place is None:
        return None
    labels = [*product.steps]

    def read_of(layer: Layer) -> npt.NDArray[np.floating]:
        values = layer.source.series(*place)
        steps = [layer.steps.get(label) for label in labels]
        return np.array([np.nan if step is None else values[step] for step in steps])

    lower, upper = layers.get(f"{name}-lower"), layers.get(f"{name}-upper")
    if lower is not None and upper is not None:
        title, low, high = interval_words(lower), read_of(lower), read_of(upper)
    else:
        endings = ("uncertainty", "correction-spread", "spread")
        sure = next((one for end in endings if (one := layers.get(f"{name}-{end}"))), None)
        if sure is None:
            return None
        middle, error = read_of(product), read_of(sure)
        title = f"± {sure.title[:1].lower()}{sure.title[1:]}"
        low, high = middle - error, middle + error
    return Band(
        name=name,
        title=title,
        unit=product.unit,
        time=labels,
        low=numbers_of(low),
        high=numbers_of(high),
    )


def interval_words(lower: Layer) -> str:
    """Name an interval by its level, where the store tells it."""
    array = getattr(lower.source, "array", None)
    level = None if array is None else array.attrs.get("level")
    return "Interval" if level is None else f"Interval of {100 * float(level):g} %"
