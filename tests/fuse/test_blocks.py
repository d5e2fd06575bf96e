"""Blocks cover a record once, and gaps that outlast them are as long as in the whole record."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.errors import ValueProblem
from vadose.fuse.blocks import GapEdges, blocks
from vadose.samples.gaps import gap_ages


@given(days=st.integers(1, 400), length=st.integers(1, 60), margin=st.integers(0, 20))
def test_every_day_is_written_once_and_seen_with_its_margin(days, length, margin):
    found = blocks(days, length=length, margin=margin)
    written = np.concatenate([np.arange(days)[one.own] for one in found])
    np.testing.assert_array_equal(written, np.arange(days))
    for one in found:
        assert one.seen.start == max(one.own.start - margin, 0) or len(found) == 1
        assert one.seen.stop == min(one.own.stop + margin, days) or len(found) == 1
        seen = np.arange(days)[one.seen]
        np.testing.assert_array_equal(seen[one.inside], np.arange(days)[one.own])


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.02, 0.2, 0.7]))
def test_ages_are_those_of_the_whole_record(seed, share):
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.integers(1, 4, 40))
    time = np.datetime64("2020-01-01", "ns") + steps.astype("m8[D]")
    seen = xr.DataArray(rng.random((40, 3, 4)) < share, {"time": time}, ("time", "y", "x"))
    parts = blocks(40, length=7, margin=1)
    edges = GapEdges([seen[one.own] for one in parts])
    whole = gap_ages(seen)
    np.testing.assert_array_equal(edges.is_land, seen.any("time").values)
    for place, one in enumerate(parts):
        xr.testing.assert_equal(edges.ages(place, seen[one.own]), whole.isel(time=one.own))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueProblem, match="length=0"):
        blocks(10, length=0)
    with pytest.raises(ValueProblem, match="found none"):
        GapEdges([])
