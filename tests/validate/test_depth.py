"""Sensors become a layer by their thickness, where enough of it is measured."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import CubeProblem, NoOverlap, ValueProblem
from vadose.products.stations import select_layer
from vadose.validate.depth import layer_mean

Row = tuple[str, float, float, list[float]]


def sensors(*rows: Row) -> xr.Dataset:
    """Make a dataset of sensors: station, depth from and to, values."""
    stations, begin, end, values = zip(*rows, strict=True)
    count = len(rows)
    days = np.datetime64("2019-07-01") + np.arange(len(values[0]))
    return xr.Dataset(
        {
            "soil_moisture": (("sensor", "time"), np.array(values, "f8"), {"units": "m3 m-3"}),
            "flag_count": (("sensor", "flag"), np.ones((count, 1), "i8")),
        },
        coords={
            "time": days.astype("M8[ns]"),
            "flag": ["G"],
            "station": ("sensor", list(stations)),
            "network": ("sensor", ["N"] * count),
            "lat": ("sensor", np.full(count, 40.0)),
            "lon": ("sensor", np.arange(count, dtype="f8")),
            "depth_from": ("sensor", list(begin), {"units": "m"}),
            "depth_to": ("sensor", list(end)),
        },
    )


def test_layers_weigh_by_their_overlap() -> None:
    pit = sensors(("A", 0.0, 0.1, [0.1]), ("A", 0.1, 0.4, [0.3]), ("A", 0.4, 1.0, [0.2]))
    found = layer_mean(pit, (0.0, 1.0))
    assert found["soil_moisture"].item() == pytest.approx(0.1 * 0.1 + 0.3 * 0.3 + 0.6 * 0.2)
    assert found["measured_share"].item() == pytest.approx(1.0)
    assert found["soil_moisture"].attrs["depth_to"] == 1.0


@pytest.mark.parametrize(("share", "is_given"), [(0.39, True), (0.41, False)])
def test_a_missing_sensor_leaves_enough_or_not(share: float, is_given: bool) -> None:
    pit = sensors(("A", 0.0, 0.4, [0.1, 0.1]), ("A", 0.4, 1.0, [0.3, np.nan]))
    first, second = layer_mean(pit, (0.0, 1.0), minimum_share=share)["soil_moisture"].values[0]
    assert first == pytest.approx(0.22)
    assert second == (pytest.approx(0.1) if is_given else pytest.approx(np.nan, nan_ok=True))


def test_one_probe_measures_a_surface_layer_but_no_root_zone() -> None:
    probe = sensors(("A", 0.05, 0.05, [0.2]))
    assert layer_mean(probe, (0.0, 0.05))["measured_share"].item() == pytest.approx(1.0)
    assert layer_mean(probe, (0.0, 1.0), minimum_share=0.1)["measured_share"].item() == (
        pytest.approx(0.1)
    )
    with pytest.raises(NoOverlap) as caught:
        layer_mean(probe, (0.0, 1.0))
    assert str(caught.value) == (
        "layer 0 to 1 m: found no station that measures 50% of it at any time; sensors are at "
        "0.05-0.05 m, expected sensors in the layer. Name another layer, or a smaller minimum_share."
    )


def test_where_the_layer_is_filled_it_is_that_of_select_layer() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (f"S{number % 7}", depth, depth, np.where(rng.random(30) < 0.9, rng.random(30), np.nan))
        for number in range(7)
        for depth in (0.05, 0.1, 0.2, 0.3)
    ]
    pits = sensors(*rows)
    expected = select_layer(pits, 0.0, 0.3, minimum_share=0.5)["soil_moisture"]
    found = layer_mean(pits, (0.0, 0.3), minimum_share=1e-6)["soil_moisture"]
    assert found["station"].values.tolist() == expected["station"].values.tolist()
    is_both = expected.notnull().values
    assert is_both.mean() > 0.9
    assert np.allclose(found.values[is_both], expected.values[is_both], atol=1e-6)


def test_a_station_without_the_layer_stays_and_has_nothing() -> None:
    pits = sensors(("B", 0.05, 0.05, [0.2]), ("A", 0.5, 0.5, [0.3]))
    found = layer_mean(pits, (0.0, 0.05))
    assert found["station"].values.tolist() == ["B", "A"]
    assert np.isnan(found["soil_moisture"].values[1]).all()
    assert found["lon"].values.tolist() == [0.0, 1.0]


def test_what_is_no_layer_is_refused() -> None:
    pit = sensors(("A", 0.05, 0.05, [0.2]))
    with pytest.raises(ValueProblem, match=r"layer: found 0.1 to 0.05 m, minimum_share 0.5"):
        layer_mean(pit, (0.1, 0.05))
    with pytest.raises(ValueProblem, match="minimum_share 0, expected"):
        layer_mean(pit, (0.0, 0.05), minimum_share=0.0)
    twice = sensors(("A", 0.05, 0.05, [0.2]), ("A", 0.05, 0.05, [0.3]))
    with pytest.raises(ValueProblem, match=r"station N/A: found 2 sensors at 0.05 to 0.05 m"):
        layer_mean(twice, (0.0, 0.05))
    with pytest.raises(CubeProblem, match=r"expected soil_moisture with dims \(sensor, time\)"):
        layer_mean(xr.Dataset(), (0.0, 0.05))
