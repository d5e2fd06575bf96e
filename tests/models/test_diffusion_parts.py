"""What a diffusion model is made of: conditions, losses, averaged weights, the steered perceptron, noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vadose.errors import ModelProblem, UnknownName
from vadose.models.diffusion.conditions import CONDITIONS, Conditions, find_conditions
from vadose.models.diffusion.denoiser import Denoiser
from vadose.models.diffusion.film import FilmNetwork
from vadose.models.diffusion.losses import Loss, Noising
from vadose.models.diffusion.noise import even_noise, suited_noise
from vadose.models.diffusion.schedules import NoiseSchedule

COSINE = NoiseSchedule.cosine()

# --- conditions ---


def encoded(columns: dict[str, int], *rows: list[float]) -> np.ndarray:
    X = np.array(rows, dtype="f4")
    return Conditions(columns, X.shape[1]).encode(X, X)


def test_conditions_are_found_by_name() -> None:
    names = ["coarse_value", "day_of_year", "ndvi", "station_mean"]
    assert find_conditions(names) == {"day_of_year": 1, "station_mean": 3}
    assert find_conditions(list(CONDITIONS)).keys() == CONDITIONS.keys()


def test_the_width_of_each_part_is_known() -> None:
    columns = {name: place for place, name in enumerate(CONDITIONS)}
    conditions = Conditions(columns, len(columns) + 2)
    X = np.ones((3, 4, len(columns) + 2), dtype="f4")
    assert conditions.encode(X, X).shape == (3, 4, sum(conditions.widths))
    assert conditions.widths[0] == 2
    for name in CONDITIONS:
        if name != "station_missing":
            one = Conditions({name: 1}, 2)
            assert one.encode(X[0, :, :2], X[0, :, :2]).shape == (4, sum(one.widths))


def test_a_year_closes() -> None:
    end, start = encoded({"day_of_year": 0}, [366.0], [1.0])
    summer = encoded({"day_of_year": 0}, [183.0])[0]
    assert np.abs(end - start).max() < 0.04
    assert np.abs(summer - start).max() > 1.9


def test_years_are_encoded_alike_in_any_company() -> None:
    columns = {"year": 0, "day_of_year": 1}
    alone = encoded(columns, [2016.0, 200.0])
    together = encoded(columns, [2016.0, 200.0], [2003.0, 1.0], [2040.0, 9.0])
    np.testing.assert_array_equal(alone[0], together[0])
    years = encoded({"year": 0}, *[[float(year)] for year in range(1980, 2044)])
    apart = np.abs(years[:, None] - years[None]).max(axis=-1)
    assert (apart[~np.eye(64, dtype=bool)] > 0.05).all(), "no two years look the same"
    assert np.abs(years).max() <= 1.0


def test_the_date_line_is_no_edge_but_the_poles_are() -> None:
    west, east = encoded({"longitude": 0}, [-180.0], [180.0])
    np.testing.assert_allclose(west, east, atol=1e-5)
    south, north = encoded({"latitude": 0}, [-90.0], [90.0])
    assert np.abs(south - north).max() > 1.0


def test_statistics_that_are_missing_are_not_looked_at() -> None:
    columns = {"station_mean": 0, "station_sd": 1, "station_missing": 2}
    some, none, other, mean = encoded(
        columns, [0.0, 0.0, 0.0], [5.0, 1.0, 1.0], [-9.0, 3.0, 1.0], [5.0, 1.0, 0.0]
    )
    np.testing.assert_array_equal(none, other)
    assert not np.array_equal(some, none), "0 is a value, too"
    np.testing.assert_array_equal(mean, [5.0, 1.0, 1.0])


def test_conditions_that_do_not_suit_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"condition 'longitud'.*Did you mean 'longitude'"):
        Conditions({"longitud": 0}, 3)
    with pytest.raises(ModelProblem, match="condition 'year': found column 3, expected 0 to 2"):
        Conditions({"year": 3}, 3)
    with pytest.raises(ModelProblem, match=r"conditions: found .*expected a column for each"):
        Conditions({"year": 1, "latitude": 1}, 3)
    with pytest.raises(ModelProblem, match="'station_missing': found no statistics that could"):
        Conditions({"station_missing": 1}, 3)


# --- losses ---


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_a_perfect_prediction_gives_the_clean_value(prediction: str) -> None:
    loss = Loss(COSINE, prediction)  # type: ignore[arg-type]
    clean, noise = torch.randn(40, 2, 3, dtype=torch.float64), torch.randn(40, 2, 3)
    step = torch.arange(40) * 20
    noisy = loss.add_noise(clean, noise, step)
    again = loss.clean(loss.target(clean, noise, step), noisy, step)
    torch.testing.assert_close(again, clean)
    one = loss.clean(loss.target(clean, noise, step[7:8]), noisy, step[7:8])
    torch.testing.assert_close(one[7], clean[7])


def test_noise_keeps_the_variance() -> None:
    loss = Loss(COSINE, "v")
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 50_000, generator=generator)
    for step in (0, 500, 999):
        steps = torch.tensor([step])
        noisy = loss.add_noise(clean[:, None], noise[:, None], steps)[:, 0]
        assert float(noisy.var()) == pytest.approx(1.0, abs=0.03)
        signal, spread = COSINE.at(step)
        assert float((noisy * clean).mean()) == pytest.approx(signal, abs=0.03)
        assert float((noisy * noise).mean()) == pytest.approx(spread, abs=0.03)


def test_another_prediction_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"prediction 'x0'.*expected one of"):
        Loss(COSINE, "x0")  # type: ignore[arg-type]


class Oracle(Denoiser):
    """Know that every clean value is the feature, but for an offset that is learned."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = torch.nn.Parameter(torch.tensor(offset))

    def forward(self, noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        signal = torch.as_tensor(COSINE.signal, dtype=torch.float32)[step].view(-1, 1)
        spread = torch.as_tensor(COSINE.noise, dtype=torch.float32)[step].view(-1, 1)
        noise = (noisy - signal * condition) / spread
        return signal * noise - spread * condition + self.offset


def test_who_knows_the_answer_makes_no_error() -> None:
    values = torch.linspace(-1, 1, 64)[:, None]
    noising = Noising(Oracle(), Loss(COSINE, "v"), outputs=1)
    samples = torch.cat([values, values], dim=1)
    for mode in (True, False):
        noising.train(mode)
        assert float(noising(samples).detach().abs().max()) < 1e-3
    noising = Noising(Oracle(0.5), Loss(COSINE, "v"), outputs=1)
    torch.testing.assert_close(
        noising(samples).detach(), torch.full((64, 1), 0.5), atol=1e-3, rtol=0
    )


def test_a_denoiser_is_judged_with_the_same_noise_and_trained_with_other() -> None:
    network = FilmNetwork(2, 0, 0, outputs=1, width=8, blocks=1, dropout=0.0, omission=0.0)
    noising = Noising(network, Loss(COSINE, "v"), outputs=1)
    samples = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    noising.eval()
    torch.testing.assert_close(noising(samples), noising(samples), atol=0, rtol=0)
    noising.train()
    assert not torch.equal(noising(samples), noising(samples))


def test_weights_are_averaged_with_a_memory_that_grows() -> None:
    denoiser = Oracle()
    noising = Noising(denoiser, Loss(COSINE, "v"), outputs=1)
    samples, expected = torch.zeros(4, 2), 0.0
    for batch in range(200):
        with torch.no_grad():
            denoiser.offset.fill_(float(batch))
        noising(samples)
        memory = 0.0 if batch == 0 else min(0.999, (1 + batch) / (10 + batch))
        expected = memory * expected + (1 - memory) * batch
    noising.settle()
    assert float(denoiser.offset.detach()) == pytest.approx(expected, rel=1e-5)
    assert 150 < expected < 199
    assert not denoiser.training


# --- the steered perceptron ---


def test_nothing_is_steered_before_it_is_learned() -> None:
    network = FilmNetwork(2, 4, 3, outputs=1, width=16, blocks=2, dropout=0.0, omission=0.0).eval()
    condition = network.prepare(torch.randn(10, 9)).detach()
    assert float(condition[:, 16:].abs().max()) == 0.0
    assert float(condition[:, :16].abs().min(dim=0).values.max()) > 0.0
    noisy = torch.randn(10, 1)
    early, late = (network(noisy, torch.tensor([step]), condition) for step in (3, 900))
    torch.testing.assert_close(early, late, atol=0, rtol=0)


def test_one_step_for_all_is_the_step_of_each() -> None:
    network = FilmNetwork(2, 0, 0, outputs=2, width=16, blocks=2, dropout=0.0, omission=0.0).eval()
    torch.nn.init.normal_(network.step_film.weight)
    condition, noisy = network.prepare(torch.randn(10, 2)), torch.randn(10, 2)
    all_alike = network(noisy, torch.tensor([70]), condition)
    torch.testing.assert_close(network(noisy, torch.full((10,), 70), condition), all_alike)
    assert not torch.allclose(network(noisy, torch.tensor([71]), condition), all_alike)


@torch.no_grad()
def test_stations_are_withheld_in_training_only() -> None:
    network = FilmNetwork(1, 0, 3, outputs=1, width=8, blocks=1, dropout=0.0, omission=0.3)
    X = torch.tensor([[0.5, 2.0, -1.0, 1.0]]).expand(2000, -1)
    without = network.prepare(X * torch.tensor([1.0, 0.0, 0.0, 0.0]))[0]
    is_withheld = (network.prepare(X) - without).abs().amax(dim=1) < 1e-5
    assert float(is_withheld.float().mean()) == pytest.approx(0.3, abs=0.04)
    network.eval()
    assert float((network.prepare(X) - without).abs().amax(dim=1).min()) > 1e-3


# --- noise ---


@pytest.mark.parametrize(("draws", "outputs"), [(2, 1), (16, 1), (16, 3)])
def test_even_noise_has_the_moments_of_the_normal(draws: int, outputs: int) -> None:
    noise = even_noise(draws, outputs, seed=3)
    assert noise.shape == (draws, outputs)
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(noise.std(axis=0), 1.0, rtol=1e-6)
    assert (np.diff(noise[:, 0]) > 0).all()
    np.testing.assert_array_equal(noise, even_noise(draws, outputs, seed=3))
    np.testing.assert_allclose(np.sort(noise[:, -1]), noise[:, 0], rtol=1e-6)


def test_noise_that_does_not_suit_is_refused() -> None:
    good = np.zeros((4, 5), dtype="f4")
    assert suited_noise(good, (5,), outputs=None).shape == (4, 5, 1)
    assert suited_noise(good[:, :1, None], (5,), outputs=2).shape == (4, 5, 2)
    for wrong in (good[0], good[:, :3], good[..., None]):
        with pytest.raises(ModelProblem, match=r"noise: found shape .*expected \(member, 5\)"):
            suited_noise(wrong, (5,), outputs=None)
    with pytest.raises(ModelProblem, match="noise: found 4 values that are not finite"):
        suited_noise(np.where(np.arange(5) == 2, np.nan, good), (5,), outputs=None)
