"""What predicts fast says what the module says that was trained."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from vadose.models import inference  # noqa: E402
from vadose.models.inference import Linear, swift  # noqa: E402
from vadose.models.layers import (  # noqa: E402
    Convolutional,
    MaskedConvolution,
    MaskedResidual,
    Recurrent,
    WindowedGRU,
    perceptron,
)

FEATURES = 5
#: Of outputs of about 1.
SAME = 2e-6


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    torch.manual_seed(3)
    with torch.inference_mode():
        yield


def check_same(module: nn.Module, X: Tensor) -> None:
    """Hold both forms against each other where norms have learned something and outputs are not small."""
    for one in module.modules():
        if isinstance(one, nn.BatchNorm1d):
            one.running_mean = torch.randn(one.num_features)
            one.running_var = 0.5 + torch.rand(one.num_features)
        if isinstance(one, (nn.BatchNorm1d, nn.LayerNorm)):
            one.weight.copy_(0.5 + torch.rand(one.weight.shape))
            one.bias.copy_(torch.randn(one.bias.shape))
    module.eval()
    given = X.clone()
    expected, fast = module(X), swift(module)
    assert fast is not module
    values = fast(X)
    assert torch.equal(X, given), "what it is given stays as it is"
    assert values.shape == expected.shape
    assert expected.std() > 0.003
    torch.testing.assert_close(values, expected, atol=SAME, rtol=SAME)


def test_what_it_does_not_know_is_given_back() -> None:
    recurrent = Recurrent(3, 1, embedding=4, hidden=4, layers=1, dropout=0.0)
    assert swift(recurrent) is recurrent
    curved = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 1))
    assert swift(curved) is curved


@pytest.mark.parametrize("rows", [1, 16, 37, 128])
@pytest.mark.parametrize(("entering", "leaving"), [(3, 1), (15, 16), (64, 192)])
def test_a_linear_layer_is_one_whatever_it_goes_through(
    rows: int, entering: int, leaving: int
) -> None:
    layer, X = nn.Linear(entering, leaving), torch.randn(rows, entering)
    torch.testing.assert_close(Linear(layer.weight, layer.bias)(X), layer(X))
    strange = X.t().contiguous().t()  # the same numbers, feature by feature in memory
    torch.testing.assert_close(Linear(layer.weight, layer.bias)(strange), layer(X))


@pytest.mark.parametrize("hidden", [[], [8], [32, 32]])
@pytest.mark.parametrize("outputs", [1, 2])
def test_perceptrons(hidden: list[int], outputs: int) -> None:
    check_same(perceptron(FEATURES, outputs, hidden=hidden, dropout=0.3), torch.randn(48, FEATURES))


def test_hyperbolic_tangents_one_after_the_other() -> None:
    layers = [nn.Linear(FEATURES, 20), nn.Tanh(), nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 2)]
    with torch.no_grad():
        layers[0].weight *= 20.0  # some at their ends, some near 0
    check_same(nn.Sequential(*layers), torch.randn(64, FEATURES))


@pytest.mark.parametrize("steps", [1, 2, 9, 40])
@pytest.mark.parametrize(("blocks", "kernel"), [(0, 3), (1, 1), (4, 3), (3, 2)])
def test_causal_convolutions(steps: int, blocks: int, kernel: int) -> None:
    module = Convolutional(FEATURES, 2, channels=16, blocks=blocks, kernel=kernel, dropout=0.2)
    check_same(module, torch.randn(7, steps, FEATURES))


@pytest.mark.parametrize("steps", [1, 3, 20])
@pytest.mark.parametrize(("length", "kernel"), [(1, 3), (4, 1), (6, 5)])
def test_windows_of_encoded_days(
    steps: int, length: int, kernel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "DAYS", 32)
    monkeypatch.setattr(inference, "WINDOWS", 16)
    monkeypatch.setattr(inference, "GATES", 60)  # so that samples are cut into parts
    module = WindowedGRU(
        FEATURES, 2, channels=8, layers=2, kernel=kernel, length=length, hidden=8, dropout=0.2
    )
    check_same(module, torch.randn(9, steps, FEATURES))


def masked(finer: int, *, blocks: int = 2, kernel: int = 3, outputs: int = 2) -> MaskedResidual:
    module = MaskedResidual(
        FEATURES, outputs, channels=8, blocks=blocks, kernel=kernel, dropout=0.2
    )
    for layer in module.modules():
        if isinstance(layer, MaskedConvolution):
            layer.finer = finer
    return module


def maps(share: float, shape: tuple[int, int, int] = (2, 13, 18)) -> Tensor:
    """Make maps of which some cells and a whole corner are missing; the last channel tells which."""
    is_there = (torch.rand(*shape, 1) < share).float()
    is_there[:, 3:9, :9] = 0.0
    return torch.cat([torch.randn(*shape, FEATURES) * is_there, is_there], dim=-1)


@pytest.mark.parametrize("finer", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("strip", [1, 2**9, 2**17])
def test_neighbours_that_are_means_of_what_there_is(
    finer: int, kernel: int, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "STRIP", strip)
    check_same(masked(finer, kernel=kernel), maps(0.7))


@pytest.mark.parametrize(("blocks", "kernel"), [(0, 3), (2, 1)])
def test_cells_on_their_own(blocks: int, kernel: int) -> None:
    check_same(masked(2, blocks=blocks, kernel=kernel), maps(0.9))


def test_maps_without_gaps_and_without_cells() -> None:
    whole = maps(1.0)
    whole[..., -1] = 1.0
    check_same(masked(3), whole)
    none = torch.zeros(1, 6, 5, FEATURES + 1)
    module = masked(3).eval()
    torch.testing.assert_close(swift(module)(none), module(none))


def test_what_is_given_is_the_module_at_that_time() -> None:
    module, X = perceptron(FEATURES, 1, hidden=[32], dropout=0.0).eval(), torch.randn(16, FEATURES)
    before = swift(module)
    values = before(X)
    module[-1].weight.mul_(2.0)
    assert not torch.equal(swift(module)(X), values)
