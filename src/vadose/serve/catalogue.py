"""The layers of a run: a fixed table of what can be shown, made from what lies in the folder.

A request names a layer and a time; both are looked up here. No word of a request becomes part of a path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import VadoseError
from vadose.schema import variable
from vadose.serve.colours import Palette, codes
from vadose.serve.extents import bounds_of, united
from vadose.serve.fields import DifferenceField, Field, StoredField
from vadose.serve.ranges import occurring, range_of
from vadose.serve.studies import NothingToShow, Study, read_study
from vadose.store import open_windows

#: Endings of variables that say how sure a value is, and the words for them.
SURENESS = {
    "_uncertainty": "Standard error",
    "_spread": "Spread of the model's parts",
    "_interval_width": "Width of the interval",
    "_correction_spread": "Spread of the correction",
}
#: Members of an ensemble that are listed.
MEMBERS = 12
ENDS = {"_lower": "Lower end of the interval", "_upper": "Upper end of the interval"}


@dataclass(frozen=True)
class Layer:
    """Describe one layer of the map.

    Attributes
    ----------
    name
        Its name in addresses.
    group
        Heading under which the page lists it.
    low, high
        Values that get the first and the last colour.
    steps
        Which step of the field a time of the map is; times without one have no picture.
    """

    name: str
    title: str
    group: str
    unit: str
    palette: Palette
    source: Field
    low: float = 0.0
    high: float = 1.0
    steps: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_class(self) -> bool:
        """Tell whether values are codes."""
        return self.palette == "origin"

    @cached_property
    def classes(self) -> frozenset[int] | None:
        """Codes that occur, of a layer of classes; None where it is too large to be looked through."""
        return occurring(self.source)

    @cached_property
    def table(self) -> npt.NDArray[np.uint8]:
        """Code of each of the 65,536 numbers that a packed layer can hold, as if they were unsigned."""
        every = np.arange(2**16, dtype="u2").view("i2")
        return codes(self.source.meaning(every), self.low, self.high)


@dataclass(frozen=True)
class Catalogue:
    """Hold all that a run can show.

    Attributes
    ----------
    version
        Changes when the run does; pictures of another version are not mixed in.
    times
        Labels of the times, in order.
    notice
        What a reader must know, such as that the run is not finished.
    precipitation
        Drawn beside series; None where the fine cube has none.
    """

    study: Study
    version: str
    layers: Mapping[str, Layer]
    times: tuple[str, ...]
    notice: str
    precipitation: Field | None = None

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees of all layers; east may be beyond 180."""
        return united([bounds_of(layer.source.grid) for layer in self.layers.values()])

    @property
    def absent(self) -> dict[str, str]:
        """Say how to get a group of layers that a product should have and this one has not."""
        is_sure = any(layer.group == "Uncertainty" for layer in self.layers.values())
        if "fine" not in self.layers or is_sure or self.study.is_fusion:
            return {}
        return {"Uncertainty": "none: add intervals: to the recipe"}


def read_catalogue(run: Path, version: str = "") -> Catalogue:
    """Find out what a run folder, or a folder of `vadose fuse`, can show.

    Raises
    ------
    NothingToShow
        There is no such folder, it holds no run, or the run has not come far enough.
    """
    study = read_study(run)
    found = list(_layers(study))
    if not found:
        raise NothingToShow.yet(study)
    stamps = _timeline([layer.source for layer in found])
    labels = label_times(stamps)
    # one scale for all layers of soil moisture, so that they can be compared by eye
    main = next((one for one in found if one.palette == "moisture"), None)
    shared = range_of(main.source, "moisture") if main is not None else (0.0, 1.0)
    layers = {}
    for layer in found:
        is_shared = layer.palette == "moisture" and main is not None and layer.unit == main.unit
        low, high = shared if is_shared else range_of(layer.source, layer.palette)
        steps = _steps(layer.source, stamps, labels)
        layers[layer.name] = replace(layer, low=low, high=high, steps=steps)
    return Catalogue(
        study=study,
        version=version,
        layers=layers,
        times=labels,
        notice=study.notice,
        precipitation=_precipitation(run),
    )


def label_times(stamps: Any) -> tuple[str, ...]:
    """Write stamps as short as they can be told apart; a static field has one label.

    Examples
    --------
    >>> label_times(np.array(["2019-07-01", "2019-07-02"], "M8[ns]"))
    ('2019-07-01', '2019-07-02')
    >>> label_times(np.array(["2019-07-01T06"], "M8[ns]")), label_times(np.array([], "M8[ns]"))
    (('2019-07-01T06:00',), ('static',))
    """
    if not stamps.size:
        return ("static",)
    are_days = (stamps == stamps.astype("M8[D]")).all()
    return tuple(np.datetime_as_string(stamps, unit="D" if are_days else "m").tolist())


def _layers(study: Study) -> Iterator[Layer]:
    run, target = study.path, study.target
    product = _opened(run / study.product)
    fine = None
    if product is not None:
        name = "Fused record" if study.is_fusion else "Fine, the product"
        for layer in _of_product(product, target, "fine", name):
            fine = layer if layer.name == "fine" else fine
            yield layer
    corrected = _opened(run / "product_corrected.zarr")
    if corrected is not None:
        yield from _of_product(corrected, target, "corrected", "Fine, corrected with stations")
    coarse = _opened(run / "coarse.zarr")
    if coarse is not None and target in coarse:
        layer = _moisture(coarse[target], "coarse", "Coarse, the input", "Soil moisture")
        yield layer
        if fine is not None and _is_comparable(fine.source, layer.source):
            yield _difference("difference", "Fine − coarse", fine, layer.source)
    observed = _opened(run / "coarse_observed.zarr")
    if observed is not None and target in observed:
        title = "Coarse, as observed"
        yield _moisture(observed[target], "observed", title, "Soil moisture")
    truth = _opened(run / "truth.zarr")
    if truth is not None and target in truth:
        layer = _moisture(truth[target], "truth", "Withheld truth", "Soil moisture")
        yield layer
        if fine is not None and _is_comparable(fine.source, layer.source):
            yield _difference("error", "Fine − truth", fine, layer.source)
    for method, title in study.methods.items():
        if method == study.published and fine is not None:
            continue  # it is the product
        predicted = _opened(run / "predictions" / f"{method}.zarr")
        if predicted is not None and target in predicted:
            yield _moisture(predicted[target], f"method-{_plain(method)}", title, "Methods")


def _of_product(product: xr.Dataset, target: str, stem: str, title: str) -> Iterator[Layer]:
    """List the target of a product, and what stands beside it."""
    short = "" if stem == "fine" else f", {stem}"
    for name in sorted(map(str, product.data_vars), key=lambda name: (name != target, name)):
        array = product[name]
        if name == f"{target}_members" and array.dims == ("member", "time", "y", "x"):
            yield from _members(array, stem, short)
            continue
        if not {"y", "x"} <= set(map(str, array.dims)) <= {"time", "y", "x"}:
            continue
        slug = f"{stem}-{_plain(name.removeprefix(target).strip('_') or name)}"
        if name == target:
            yield _moisture(array, stem, title, "Soil moisture")
        elif name == "origin":
            yield Layer(slug, f"Origin{short}", "About the values", "", "origin", _stored(array))
        elif name in ("gap_age", "gap_length"):
            words = str(array.attrs.get("long_name", name))
            heading = words[:1].upper() + words[1:]
            field_ = _stored(array)
            yield Layer(slug, heading, "About the values", _unit(array), "age", field_)
        for ending, words in {**SURENESS, **ENDS}.items():
            if name.endswith(ending) and name != target:
                base = name.removesuffix(ending)
                about = "" if base == target else f" of {base.replace('_', ' ')}"
                palette: Palette = "uncertainty" if ending in SURENESS else "moisture"
                group = "Uncertainty"
                heading = f"{words}{about}{short}"
                yield Layer(slug, heading, group, _unit(array), palette, _stored(array))
                break
        else:
            if name not in (target, "origin") and name.endswith("soil_moisture"):
                words = name.replace("_", " ")
                heading = f"{words[:1].upper()}{words[1:]}{short}"
                yield _moisture(array, slug, heading, "Soil moisture")


def _moisture(array: xr.DataArray, name: str, title: str, group: str) -> Layer:
    return Layer(name, title, group, _unit(array), "moisture", _stored(array))


def _members(array: xr.DataArray, stem: str, short: str) -> Iterator[Layer]:
    """List members of an ensemble, each a field like the product."""
    for place in range(min(array.sizes["member"], MEMBERS)):
        member = array.isel(member=place)
        for key in ("chunks", "shards"):  # of the array with all members
            if member.encoding.get(key):
                member.encoding[key] = tuple(member.encoding[key])[1:]
        title = f"Member {place + 1} of {array.sizes['member']}{short}"
        field_ = StoredField(member)
        yield Layer(
            f"{stem}-member-{place + 1}", title, "Members", _unit(array), "moisture", field_
        )


def _difference(name: str, title: str, fine: Layer, other: Field) -> Layer:
    return Layer(
        name,
        title,
        "About the values",
        fine.unit,
        "difference",
        DifferenceField(fine.source, other),
    )


def _stored(array: xr.DataArray) -> StoredField:
    return StoredField(array, array.encoding.get("source"))


def _unit(array: xr.DataArray) -> str:
    return str(array.attrs.get("units") or variable(str(array.name)).units)


def _plain(name: str) -> str:
    """Give a name as it stands in addresses.

    Examples
    --------
    >>> _plain("Residual forest (9 km)")
    'residual-forest-9-km'
    """
    letters = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)
    return "-".join(part for part in letters.lower().split("-") if part) or "layer"


def _is_comparable(fine: Field, other: Field) -> bool:
    if fine.grid.crs != other.grid.crs:
        return False
    both = fine.times.size and other.times.size
    return not both or bool(np.intersect1d(fine.times, other.times).size)


def _opened(path: Path) -> xr.Dataset | None:
    """Open a store of the run; one that is not there or not finished is None."""
    if not (path / "zarr.json").is_file():
        return None
    try:
        found = open_windows(path)
    except VadoseError as error:
        raise NothingToShow.damaged(error) from error
    for array in found.variables.values():
        array.encoding["source"] = path
    return found


def _precipitation(run: Path) -> Field | None:
    try:
        cube = _opened(run / "fine.zarr")
    except NothingToShow:
        return None  # a map does without it
    if cube is None or "precipitation" not in cube or "time" not in cube["precipitation"].dims:
        return None
    return _stored(cube["precipitation"])


def _timeline(fields: list[Field]) -> Any:
    """Give the stamps of the first field that has any: the product's, else the input's."""
    return next((one.times for one in fields if one.times.size), np.array([], "M8[ns]"))


def _steps(source: Field, stamps: Any, labels: tuple[str, ...]) -> dict[str, int]:
    if not source.times.size:
        return dict.fromkeys(labels, 0)
    own = {stamp: step for step, stamp in enumerate(source.times.tolist())}
    return {
        label: own[stamp]
        for label, stamp in zip(labels, stamps.tolist(), strict=False)
        if stamp in own
    }
