"""Arrays that are read when indexed, and the interface of a file that holds them.

Region and period are cut out of a cube after it is described but before it is read. dask can hand a
slice only to the array at the end of its graph, so decoding, turning and combining happen **inside**
that array: whatever is asked for, only the window of the file that it needs is read. A file is open only
meanwhile, so that hundreds of them need no open handles and a graph can be sent to another process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from vadose.errors import FileProblem

Values = npt.NDArray[Any]
#: Wanted places along each axis.
Places = tuple[npt.NDArray[np.intp], ...]

#: Bytes that one task reads at most.
CHUNK = 2**24


class LazyArray(ABC):
    """Be indexed like a numpy array, axis by axis, and give values only then."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    #: Blocks in which the file stores it, in the order of the axes.
    blocks: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Count the axes."""
        return len(self.shape)

    @abstractmethod
    def take(self, places: Places) -> Values:
        """Give the values at these places along each axis."""

    def __getitem__(self, key: Any) -> Values:
        """Give a part, indexed by slices, lists of places or single places."""
        keys = key if isinstance(key, tuple) else (key,)
        keys += (slice(None),) * (self.ndim - len(keys))
        wanted = [np.arange(size)[item] for size, item in zip(self.shape, keys, strict=True)]
        values = self.take(tuple(np.atleast_1d(places) for places in wanted))
        return values.reshape([places.size for places in wanted if places.ndim])

    def lazily(self) -> Any:
        """Wrap the array for dask, in chunks of whole blocks of the file."""
        chunks = da.core.normalize_chunks(
            "auto", shape=self.shape, limit=CHUNK, dtype=self.dtype, previous_chunks=self.blocks
        )
        meta = np.empty((0,) * self.ndim, self.dtype)
        return da.from_array(self, chunks=chunks, name=False, meta=meta)


@dataclass(frozen=True, eq=False)
class FileArray(LazyArray):
    """Read windows of one variable; `read` opens the file anew each time."""

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: tuple[int, ...]
    read: Callable[[str, str, tuple[slice, ...]], Values]

    def take(self, places: Places) -> Values:
        """Read the smallest window that holds all places, forwards, and pick them out of it."""
        if any(axis.size == 0 for axis in places):
            return np.empty([axis.size for axis in places], self.dtype)
        window = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in places)
        try:
            block = self.read(self.path, self.name, window)
        except Exception as error:  # of damaged files libraries raise anything, MemoryError too
            raise FileProblem(
                self.path,
                found=f"variable {self.name!r} that cannot be read ({error})",
                remedy="Download the file again.",
            ) from error
        for axis, (wanted, part) in enumerate(zip(places, window, strict=True)):
            inner = wanted - part.start
            if not np.array_equal(inner, np.arange(block.shape[axis])):
                block = np.take(block, inner, axis=axis)
        return block


class MappedArray(LazyArray):
    """Apply a function cell by cell to arrays of one shape."""

    def __init__(
        self, function: Callable[..., Values], *inputs: LazyArray, dtype: npt.DTypeLike
    ) -> None:
        self.function, self.inputs, self.dtype = function, inputs, np.dtype(dtype)
        self.shape, self.blocks = inputs[0].shape, inputs[0].blocks
        if any(array.shape != self.shape for array in inputs):  # windows of both would seem to fit
            raise ValueError(
                f"shapes {', '.join(str(array.shape) for array in inputs)} of one grid"
            )

    def take(self, places: Places) -> Values:
        """Compute the values at these places."""
        values = self.function(*[array.take(places) for array in self.inputs])
        return values.astype(self.dtype, copy=False)


class ArrangedArray(LazyArray):
    """Give an array in another order: axes exchanged, added or fixed, places turned or picked.

    Parameters
    ----------
    source
        The array to arrange.
    axes
        Axis of the source that each axis shows; None for a new axis of size 1.
    places
        For each axis the places of the source in their new order; None for all as they are.
    fixed
        The place at which each remaining axis of the source is fixed.
    """

    def __init__(
        self,
        source: LazyArray,
        axes: Sequence[int | None],
        places: Sequence[npt.NDArray[np.intp] | None],
        fixed: Mapping[int, int] | None = None,
    ) -> None:
        self.source, self.axes, self.fixed = source, tuple(axes), dict(fixed or {})
        self.places = tuple(
            order
            if order is not None
            else np.arange(1 if axis is None else source.shape[axis], dtype=np.intp)
            for axis, order in zip(axes, places, strict=True)
        )
        self.dtype = source.dtype
        self.shape = tuple(order.size for order in self.places)
        self.blocks = tuple(
            1 if axis is None else min(source.blocks[axis], size)
            for axis, size in zip(self.axes, self.shape, strict=True)
        )

    def take(self, places: Places) -> Values:
        """Find the places in the source, and order what they hold."""
        wanted = [np.array([self.fixed.get(axis, 0)]) for axis in range(self.source.ndim)]
        for axis, order, asked in zip(self.axes, self.places, places, strict=True):
            if axis is not None:
                wanted[axis] = order[asked]
        values = self.source.take(tuple(wanted))
        shown = [axis for axis in self.axes if axis is not None]
        rest = [axis for axis in range(self.source.ndim) if axis not in shown]
        values = values.transpose(*shown, *rest)
        return values.reshape([asked.size for asked in places])


class StackedArray(LazyArray):
    """Stack arrays of one shape along a new first axis."""

    def __init__(self, layers: Sequence[LazyArray]) -> None:
        self.layers, self.dtype = tuple(layers), layers[0].dtype
        self.shape = (len(layers), *layers[0].shape)
        self.blocks = (1, *layers[0].blocks)

    def take(self, places: Places) -> Values:
        """Read the layers that are asked for."""
        if places[0].size == 0:
            return np.empty([axis.size for axis in places], self.dtype)
        return np.stack([self.layers[place].take(places[1:]) for place in places[0]])


class SteppedArray(LazyArray):
    """Repeat one value for each step of an axis over all other axes."""

    def __init__(self, values: Values, shape: tuple[int, ...], axis: int) -> None:
        self.values, self.shape, self.axis, self.dtype = values, shape, axis, values.dtype
        self.blocks = shape

    def take(self, places: Places) -> Values:
        """Spread the values of the steps that are asked for."""
        sizes = [1] * self.ndim
        sizes[self.axis] = -1
        values = self.values[places[self.axis]].reshape(sizes)
        return np.broadcast_to(values, [axis.size for axis in places])


@dataclass(frozen=True)
class Stored:
    """Hold a variable as the file has it: names of its axes, undecoded values, attributes."""

    dims: tuple[str, ...]
    array: LazyArray
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """Give the length of each dimension."""
        return dict(zip(self.dims, self.array.shape, strict=True))

    @property
    def values(self) -> Values:
        """Read all of it."""
        return self.array[()]

    def arranged(
        self, dims: Sequence[str | None], fixed: Mapping[str, int] | None = None
    ) -> LazyArray:
        """Give the array with these dimensions in this order; None is a new one.

        Those left out are fixed at a place, by default the first.
        """
        axes = [None if dim is None else self.dims.index(dim) for dim in dims]
        at = {self.dims.index(dim): place for dim, place in (fixed or {}).items()}
        return ArrangedArray(self.array, axes, [None] * len(axes), at)


class RawFile(ABC):
    """Give names and variables of an open file, undecoded: automatic masks hide whole products."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """List the variables, with their groups."""

    def has(self, name: str) -> bool:
        """Tell whether the file has a variable."""
        return name in self.names

    @abstractmethod
    def variable(self, name: str) -> Stored:
        """Give one variable."""

    def find(self, names: Sequence[str]) -> str | None:
        """Give the first of these names that the file has."""
        return next((name for name in names if self.has(name)), None)

    def need(self, *names: str) -> Stored:
        """Give the first of these variables that the file has.

        Raises
        ------
        FileProblem
            When it has none of them; the message lists what it has.
        """
        found = self.find(names)
        if found is None:
            held = ", ".join(self.names[:40]) or "no variables"
            raise FileProblem(
                self.path, found=f"variables {held}", expected=f"variable {' or '.join(names)}"
            )
        return self.variable(found)
