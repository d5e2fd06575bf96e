"""A small network of tanh layers trained by Levenberg-Marquardt, for rows: after Ma et al."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem, UnknownName
from vadose.models.base import Kind
from vadose.models.network import Network
from vadose.models.ranges import COUNT_OR_NONE, Range
from vadose.samples.scaling import Rule

if TYPE_CHECKING:
    from torch import nn

    from vadose.models.training import History, Plan

#: What can train the network.
TRAINERS = ("levenberg_marquardt", "adam")


class BPNN(Network):
    """Map rows through fully connected layers with tanh, and a linear one at the end.

    With 13 features the layers of Ma et al. have 2,897 weights. Features are scaled to 0..1, as theirs,
    and then to −1..1, where tanh is at home; the target has mean 0 and standard deviation 1. The first
    weights are drawn after Nguyen and Widrow. Levenberg-Marquardt learns in double precision; predictions
    are made in single precision, as of all networks.

    Parameters
    ----------
    hidden
        Units of each hidden layer, with hyphens between.
    trainer
        ``levenberg_marquardt`` (`vadose.models.levenberg`) or ``adam`` (`vadose.models.training`).
    rows
        Rows that a step of Levenberg-Marquardt is made of, at most; of a larger table as many are drawn
        anew for each step. A step takes time in proportion, about 3 s for 10,000 rows and 2,897 weights
        on one core. 0 takes all.
    members, patience, seed
        See `vadose.models.network.Network`. The blocks held back stop either trainer.
    epochs
        Steps of Levenberg-Marquardt, or passes through the table of Adam, at most.
    batch, rate, decay
        Of Adam only.

    References
    ----------
    After Ma et al. (2026), doi:10.3390/s26041383, for soil moisture of China at 1 km; trained after Hagan and Menhaj (1994),
    IEEE Trans. Neural Netw. 5:989, doi:10.1109/72.329697. Nguyen and Widrow (1990), Proc. IJCNN 3:21,
    doi:10.1109/IJCNN.1990.137819, for the first weights.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).random((300, 3))
    >>> network = BPNN(hidden="6-6", epochs=20).fit(X, X[:, 0] * X[:, 1])
    >>> bool(abs(network.predict(X) - X[:, 0] * X[:, 1]).mean() < 0.005)
    True
    """

    name: ClassVar[str] = "bpnn"
    kind: ClassVar[Kind] = "rows"
    scaling: ClassVar[Rule] = "range"
    #: What was learned in double precision is more exact than bfloat16 could say.
    is_mixed: ClassVar[bool] = False
    ranges: ClassVar[Mapping[str, Range]] = {**Network.ranges, "rows": COUNT_OR_NONE}

    def __init__(
        self,
        *,
        hidden: str = "20-30-30-33",
        trainer: str = "levenberg_marquardt",
        rows: int = 10_000,
        members: int = 1,
        epochs: int = 200,
        batch: int = 256,
        rate: float = 3e-3,
        decay: float = 0.0,
        patience: int = 6,
        seed: int = 0,
    ) -> None:
        super().__init__(
            members=members,
            epochs=epochs,
            batch=batch,
            rate=rate,
            decay=decay,
            patience=patience,
            seed=seed,
        )
        self.hidden, self.trainer, self.rows = hidden, trainer, rows

    def _module(self, features: int, outputs: int) -> nn.Module:
        from torch import nn

        layers: list[nn.Module] = []
        widths = [features, *layer_widths(self.hidden), outputs]
        for entering, leaving in pairwise(widths):
            layer = nn.Linear(entering, leaving)
            _spread(layer)
            layers += [layer, nn.Tanh()]
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
        return nn.Sequential(*layers[:-1])

    def _scaled(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return 2 * super()._scaled(table) - 1

    def _check(self) -> None:
        super()._check()
        if self.trainer not in TRAINERS:
            raise UnknownName("trainer", self.trainer, TRAINERS)

    def _trainer(self) -> Callable[..., History]:
        if self.trainer == "adam":
            return super()._trainer()
        from vadose.models.levenberg import train

        return train

    def _plan(self, member: int) -> Plan:
        plan = super()._plan(member)
        if self.trainer == "adam":
            return plan
        return replace(plan, batch=self.rows or sys.maxsize)


def _spread(layer: nn.Linear) -> None:
    """Draw first weights after Nguyen and Widrow: each unit bends somewhere else in −1..1."""
    import torch
    from torch import nn

    reach = 0.7 * layer.out_features ** (1 / layer.in_features)
    with torch.no_grad():
        nn.init.uniform_(layer.weight, -1, 1)
        layer.weight.copy_(reach * nn.functional.normalize(layer.weight))
        nn.init.uniform_(layer.bias, -reach, reach)


def layer_widths(hidden: str) -> list[int]:
    """Read the units of each hidden layer.

    Raises
    ------
    ModelProblem
        Not whole numbers above 0 with hyphens between.

    Examples
    --------
    >>> layer_widths("20-30-30-33")
    [20, 30, 30, 33]
    """
    widths = [int(one) for one in str(hidden).split("-") if one.isdecimal()]
    if not widths or 0 in widths or "-".join(map(str, widths)) != str(hidden):
        raise ModelProblem(
            "hidden", found=repr(hidden), expected="units of each layer, such as '20-30-30-33'"
        )
    return widths
