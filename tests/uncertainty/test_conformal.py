"""Intervals cover what they promise where they have not been calibrated, in every stratum at once."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from vadose.errors import ModelProblem, ValueProblem
from vadose.uncertainty.conformal import Conformal

#: Half of a normal interval of 90 %, in standard deviations.
NORMAL = norm.ppf(0.95)


def field(
    seed: int, blocks: int = 200, points: int = 50, alike: float = 0.6
) -> dict[str, np.ndarray]:
    """Make points whose error depends on season and cover, and is alike within blocks.

    The spread knows a part of it; `alike` is the share of the error that a block has in common.
    """
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(blocks), points)
    size = len(block)
    season, cover = np.repeat(rng.integers(0, 4, blocks), points), rng.integers(0, 3, size)
    spread = rng.uniform(0.01, 0.04, size)
    noise = np.sqrt(alike) * np.repeat(rng.normal(size=blocks), points)
    noise += np.sqrt(1 - alike) * rng.normal(size=size)
    scale = spread * np.array([0.5, 0.8, 1.0, 1.6])[season] + np.array([0.0, 0.01, 0.03])[cover]
    return {
        "predicted": rng.uniform(0.15, 0.4, size),
        "residual": noise * scale,
        "spread": spread,
        "block": block,
        "season": season,
        "cover": np.array(["crops", "grass", "forest"])[cover],
    }


def strata(points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"season": points["season"], "cover": points["cover"]}


def fitted(points: dict[str, np.ndarray], **more: object) -> Conformal:
    return Conformal(**{"bounds": (-9.0, 9.0), **more}).fit(  # type: ignore[arg-type]
        points["residual"], points["spread"], block=points["block"], stratum=strata(points)
    )


def counted(interval: Conformal, points: dict[str, np.ndarray]) -> pd.DataFrame:
    return interval.coverage(
        points["predicted"] + points["residual"],
        points["predicted"],
        points["spread"],
        block=points["block"],
        stratum=strata(points),
    )


@pytest.mark.parametrize("is_symmetric", [True, False])
def test_each_stratum_of_new_blocks_is_covered(is_symmetric: bool) -> None:
    interval = fitted(field(1, blocks=400), is_symmetric=is_symmetric)
    table = counted(interval, field(2, blocks=1000))
    assert table["kind"].tolist() == ["all"] + ["season"] * 4 + ["cover"] * 3
    assert table["coverage"].between(0.87, 0.93).all()
    # without strata some are left far out, which the same count shows
    plain = Conformal(bounds=(-9.0, 9.0))
    points, new = field(1, blocks=400), field(2, blocks=1000)
    plain.fit(points["residual"], points["spread"], block=points["block"])
    lower, upper = plain.apply(new["predicted"], new["spread"])
    truth = new["predicted"] + new["residual"]
    is_covered = (truth >= lower) & (truth <= upper)
    assert is_covered[(new["season"] == 3)].mean() < 0.84
    assert is_covered[(new["cover"] == "crops")].mean() > 0.95


def test_few_blocks_that_err_alike_cover_on_average_what_they_promise() -> None:
    """A hundred calibrations on 10 blocks: quantiles of points, as if these were independent, fall short."""
    shares, plain, effective = [], [], []
    new = field(999, blocks=2000, points=5)
    truth = new["predicted"] + new["residual"]
    for seed in range(100):
        points = field(seed, blocks=10, points=20, alike=0.9)
        interval = Conformal(bounds=(-9.0, 9.0), floor=1e-6)
        interval.fit(points["residual"], points["spread"], block=points["block"])
        effective.append(interval.all_.effective)
        lower, upper = interval.apply(new["predicted"], new["spread"])
        shares.append(np.mean((truth >= lower) & (truth <= upper)))
        score = np.abs(points["residual"]) / points["spread"]
        plain.append(np.mean(np.abs(new["residual"]) / new["spread"] <= np.quantile(score, 0.9)))
    assert np.median(effective) < 100  # of 200 points
    assert np.mean(plain) < 0.888
    assert 0.892 < np.mean(shares) < 0.925


def test_residuals_of_a_known_law_give_its_quantile() -> None:
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.5, 2.0, 200_000)
    residual = spread * rng.normal(size=len(spread))
    for is_symmetric in (True, False):
        interval = Conformal(is_symmetric=is_symmetric, floor=0.1)
        interval.fit(residual, spread, block=np.arange(200_000) // 20)
        assert interval.all_.lower == pytest.approx(NORMAL, abs=0.02)
        assert interval.all_.upper == pytest.approx(NORMAL, abs=0.02)
        assert interval.all_.effective > 100_000
        assert interval.all_.blocks == 10_000


def test_ends_that_differ_make_up_for_a_bias() -> None:
    rng = np.random.default_rng(0)
    residual = 2.0 + rng.normal(size=20_000)
    settings = {"floor": 1.0, "bounds": (-9.0, 9.0)}
    one = np.ones(20_000)
    both = Conformal(is_symmetric=False, **settings).fit(residual, one, block=np.arange(20_000))  # type: ignore[arg-type]
    lower, upper = both.apply(np.zeros(1), np.ones(1))
    assert lower[0] == pytest.approx(2 - NORMAL, abs=0.05)
    assert upper[0] == pytest.approx(2 + NORMAL, abs=0.05)
    same = Conformal(**settings).fit(residual, one, block=np.arange(20_000))  # type: ignore[arg-type]
    wide = np.subtract(*same.apply(np.zeros(1), np.ones(1))[::-1])[0]
    assert wide > 1.5 * (upper - lower)[0]


def test_a_floor_is_chosen_where_small_spreads_mean_nothing() -> None:
    rng = np.random.default_rng(1)
    spread = rng.uniform(0.0, 1.0, 20_000)
    residual = np.maximum(spread, 0.5) * rng.normal(size=20_000)
    interval = Conformal().fit(residual, spread, block=np.arange(20_000) // 10)
    assert interval.floor_ == pytest.approx(0.5, abs=0.01)
    constant = Conformal().fit(rng.normal(size=20_000), spread, block=np.arange(20_000) // 10)
    assert constant.floor_ == pytest.approx(
        1.0, abs=0.01
    )  # a spread that tells nothing is not used
    assert Conformal().fit(residual, 0 * spread, block=np.arange(20_000)).floor_ == 1.0


def test_a_stratum_of_few_blocks_is_pulled_to_the_whole() -> None:
    points = field(4)
    rare = points["block"] < 2
    points["residual"][rare] *= 100.0
    stratum = {"rare": rare}
    error, spread, block = points["residual"], points["spread"], points["block"]
    known = [
        Conformal(pool=pool).fit(error, spread, block=block, stratum=stratum).parts_["rare"]
        for pool in (0.0, 2.0, 1000.0)
    ]
    uppers = [parts["True"].upper for parts in known]
    assert uppers[0] > uppers[1] > uppers[2] > 0
    assert [round(parts["True"].pooled, 2) for parts in known] == [0.0, 0.5, 1.0]
    assert known[1]["True"].blocks == 2
    assert known[1]["True"].points == 100


def test_ends_lie_within_the_bounds_and_gaps_stay() -> None:
    points = field(3)
    interval = Conformal(bounds=(0.0, 0.45)).fit(
        points["residual"], points["spread"], block=points["block"]
    )
    prediction = np.array([[0.01, 0.2, np.nan], [0.44, 0.2, 0.3]])
    spread = np.array([[0.02, np.nan, 0.02], [0.02, 0.02, 0.04]])
    lower, upper = interval.apply(prediction, spread)
    assert lower.shape == (2, 3)
    assert np.argwhere(np.isnan(lower)).tolist() == [[0, 1], [0, 2]]
    assert np.argwhere(np.isnan(upper)).tolist() == [[0, 1], [0, 2]]
    assert lower[0, 0] == 0.0
    assert upper[1, 0] == 0.45
    assert (upper - lower)[1, 2] > (upper - lower)[1, 1]


def test_ends_do_not_cross() -> None:
    interval = fitted(field(0), is_symmetric=False)
    interval.parts_["season"]["0"] = interval.parts_["season"]["0"].__class__(9, 9, 9, 0, -9.0, 5.0)
    lower, upper = interval.apply(
        np.array([0.3]), np.array([0.02]), {"season": np.array([0]), "cover": np.array(["crops"])}
    )
    assert lower[0] == pytest.approx(upper[0])


def test_a_label_never_seen_is_treated_as_the_whole() -> None:
    interval = fitted(field(0))
    known = {"season": np.array([7]), "cover": np.array(["desert"])}
    lower, upper = interval.apply(np.array([0.3]), np.array([0.03]), known)
    assert (upper - lower)[0] == pytest.approx(2 * interval.all_.upper * 0.03)


def test_the_order_of_points_and_the_names_of_blocks_do_not_matter() -> None:
    points = field(5)
    shuffled = {
        name: values[np.random.default_rng(0).permutation(len(values))]
        for name, values in points.items()
    }
    shuffled["block"] = np.array([f"block {1000 - number}" for number in shuffled["block"]])
    one, other = fitted(points).to_dict(), fitted(shuffled).to_dict()
    assert json.dumps(one["parts"]).count("{") == json.dumps(other["parts"]).count("{")
    for kind, parts in one["parts"].items():
        for label, part in parts.items():
            for key, number in part.items():
                assert other["parts"][kind][label][key] == pytest.approx(number, rel=1e-9)


def test_intervals_come_back_from_json() -> None:
    points = field(6)
    interval = fitted(points, is_symmetric=False, level=0.8)
    read = Conformal.from_dict(json.loads(json.dumps(interval.to_dict())))
    given = (points["predicted"], points["spread"], strata(points))
    assert np.array_equal(read.apply(*given), interval.apply(*given))
    assert read.to_dict() == interval.to_dict()
    with pytest.raises(ModelProblem, match="found format 9, expected format 1"):
        Conformal.from_dict({**interval.to_dict(), "format": 9})
    for name in ("floor", "all", "parts", "bounds"):
        content = interval.to_dict()
        del content[name]
        with pytest.raises(ModelProblem, match="an incomplete description"):
            Conformal.from_dict(content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"residual": np.full(100, np.nan)}, "residual: found 100 values that are not finite"),
        ({"spread": np.full(100, -1.0)}, "spread: found -1, expected 0 or more"),
        ({"spread": np.ones(7)}, "spread: found 7 values, expected 100, one for each point"),
        ({"block": np.arange(99)}, "block: found 99 values"),
        ({"block": np.zeros(100)}, "calibration: found 1 blocks, expected 5 or more"),
        ({"residual": np.zeros((10, 10))}, "residual: found 2 dimensions"),
        ({"stratum": np.linspace(0, 1, 100)}, "found labels of type float64, expected whole"),
        ({"stratum": {"cover": np.arange(3)}}, "stratum 'cover': found 3 labels, expected 100"),
    ],
)
def test_columns_that_do_not_suit_are_told(change: dict[str, object], words: str) -> None:
    given: dict[str, object] = {
        "residual": np.linspace(-1, 1, 100),
        "spread": np.ones(100),
        "block": np.arange(100),
        "stratum": None,
        **change,
    }
    residual, spread = given.pop("residual"), given.pop("spread")
    with pytest.raises(ValueProblem, match=words):
        Conformal().fit(residual, spread, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings", [{"level": 1.0}, {"level": 0.0}, {"floor": 0.0}, {"pool": -1.0}, {"bounds": (1, 0)}]
)
def test_settings_that_make_no_sense_are_told(settings: dict[str, object]) -> None:
    with pytest.raises(ValueProblem, match="settings of intervals: found level="):
        Conformal(**settings).fit(np.ones(9), np.ones(9), block=np.arange(9))  # type: ignore[arg-type]


def test_what_was_learned_is_asked_for_as_it_was_learned() -> None:
    with pytest.raises(ModelProblem, match="intervals: found no fit"):
        Conformal().apply([0.1], [0.1])
    interval = fitted(field(0))
    with pytest.raises(
        ValueProblem, match="strata: found none, expected those of the fit, cover, season"
    ):
        interval.apply([0.1], [0.1])
    with pytest.raises(ValueProblem, match=r"spread: found shape \(2,\), expected \(1,\)"):
        interval.apply([0.1], [0.1, 0.2])
