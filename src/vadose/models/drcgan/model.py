"""DrcGAN: what a satellite would have seen, from a land model and what it did see, learned in two steps."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem, UnknownName
from vadose.models.base import Progress, quiet, read_description, write_description
from vadose.models.drcgan.channels import Encoding
from vadose.models.drcgan.scenes import Scene, split_scenes
from vadose.models.network import need_torch
from vadose.models.ranges import COUNT, COUNT_OR_NONE, SHARE, Range, check_ranges
from vadose.models.showing import Shown

if TYPE_CHECKING:
    from vadose.models.drcgan.networks import Cycle, DeepResidual
    from vadose.models.drcgan.steps import Judgement, Task
    from vadose.models.training import History, Plan

#: What a training may end with.
Step = Literal["supervised", "adversarial", "best"]
#: The second step has this share of the first one's epochs, and of its rate.
SECOND_STEP = 0.25
#: Share of the RMSE at held-out gaps by which the second step must win; less than that is chance.
LEAST_GAIN = 0.01


@dataclass(frozen=True)
class Kept:
    """Say which step's generator predicts, and why.

    Attributes
    ----------
    step
        ``supervised`` or ``adversarial``.
    guess, supervised, adversarial
        RMSE at held-out gaps, m³ m⁻³, of the first guess and after each step, with the share of the
        network that suits best; None where there was nothing to judge by, or no such step.
    """

    step: str
    guess: float | None = None
    supervised: float | None = None
    adversarial: float | None = None


class DrcGAN(Shown):
    """Add to a first guess of a satellite's field what a deep residual network has learned that it lacks.

    Two generators learn together: from the land model's field of a day, and what the satellite saw on that day
    and those around, to the satellite's field; and back. First each is supervised, by values that were hidden
    from it under the masks of other swaths. Then two judges of patches come in, and both generators learn to
    deceive them, to come back to where they went from, and to leave alone what is right already; at a small
    weight beside the supervised loss. The second step is kept only if its RMSE at held-out gaps is smaller by 1 %.

    Parameters
    ----------
    step
        ``best``: train both, keep the better; ``supervised``: the first alone; ``adversarial``: keep the
        second, whatever it scores.
    width, blocks
        Channels between the layers, and number of residual blocks.
    neighbours
        Days on either side that the network sees.
    wraps
        The map goes around the globe: the last column's neighbour is the first.
    bounds
        Least and largest value that is predicted.
    dropout
        Share of the channels that are silenced in training.
    l1, adversarial, cycle, identity
        Weights of the losses.
    observed
        What values count that the network could see, beside those hidden from it.
    crop
        Most cells along the side of a window in training.
    tile
        Cells along the side of the tiles in prediction: a matter of memory and not of the result.
    epochs, batch, rate, decay, patience, seed
        See `vadose.models.training.Plan`; the second step takes a quarter of the epochs and of the rate.

    Attributes
    ----------
    history : dict of vadose.models.training.History
        Losses of each step that was trained, by name.
    kept_ : Kept
        The step that was kept, and the scores by which.
    share_ : float
        Share of what the network says that is added to the guess, as suits the held-out gaps best: 0 (the
        guess it is) to 1.
    checkpoint : Path or None
        Folder in which a training keeps its state, to be taken up if it was stopped; set before `fit`.

    Notes
    -----
    The layer sizes of the paper are not public. Ours: 1 x 1 entry, residual blocks of a 3 x 3 convolution over
    cells 1, 2, 4, 1, ... apart and a 1 x 1 one without norms, 1 x 1 exit that is 0 at first, so that at worst
    the guess comes out. Huber's loss stands for L1 where the satellite is made, since the mean is wanted.

    The day of year is told only if it is learned for a whole year. In a month it tells the days from each other,
    and what is learned by heart of a day is worse than nothing where that day is hidden.

    A cell depends on those within the network's reach only, and cells beyond the rim or at sea are all
    treated alike; so a map may be of any size and go through in tiles.

    References
    ----------
    After Jiang et al. (2025), doi:10.1016/j.jag.2025.104517; Zhu et al. (2017), arXiv:1703.10593.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> model = rng.random((8, 12, 12), dtype="f4") * 0.3
    >>> truth = model + 0.1
    >>> satellite = np.where(rng.random(truth.shape) < 0.3, np.nan, truth)
    >>> scene = Scene(satellite=satellite, truth=truth, model=model, guess=model)
    >>> network = DrcGAN(step="supervised", width=8, blocks=1, epochs=20, patience=0, rate=0.01)
    >>> filled = network.fit([scene]).predict(scene)
    >>> bool(np.abs(filled - truth)[scene.is_hidden].mean() < 0.02)
    True
    """

    name: ClassVar[str] = "drcgan"
    #: A GPU may compute in bfloat16, to about three digits of what is added to the guess.
    is_mixed: ClassVar[bool] = True
    #: Numbers that make a network and a training.
    ranges: ClassVar[Mapping[str, Range]] = {
        **dict.fromkeys(("width", "blocks", "batch"), COUNT),
        **dict.fromkeys(("neighbours", "adversarial", "cycle", "identity"), COUNT_OR_NONE),
        **dict.fromkeys(("observed", "epochs", "rate", "decay", "patience", "seed"), COUNT_OR_NONE),
        **dict.fromkeys(("crop", "tile"), Range(8)),
        "dropout": SHARE,
        "l1": Range(0, is_open=True),
    }

    checkpoint: Path | None = None
    module_: DeepResidual

    def __init__(
        self,
        *,
        step: Step = "best",
        width: int = 24,
        blocks: int = 4,
        neighbours: int = 2,
        wraps: bool = False,
        bounds: Sequence[float] = (0.0, 0.6),
        dropout: float = 0.2,
        l1: float = 100.0,
        adversarial: float = 1.0,
        cycle: float = 10.0,
        identity: float = 5.0,
        observed: float = 0.1,
        crop: int = 96,
        tile: int = 128,
        epochs: int = 24,
        batch: int = 4,
        rate: float = 2e-3,
        decay: float = 0.1,
        patience: int = 8,
        seed: int = 0,
    ) -> None:
        self.step, self.width, self.blocks, self.neighbours = step, width, blocks, neighbours
        self.wraps, self.bounds, self.dropout = wraps, bounds, dropout
        self.l1, self.adversarial, self.cycle, self.identity = l1, adversarial, cycle, identity
        self.observed, self.crop, self.tile = observed, crop, tile
        self.epochs, self.batch, self.rate, self.decay = epochs, batch, rate, decay
        self.patience, self.seed = patience, seed

    def fit(
        self,
        scenes: Sequence[Scene],
        validation: Sequence[Scene] = (),
        *,
        progress: Progress = quiet,
    ) -> Self:
        """Train.

        Parameters
        ----------
        scenes
            To learn from: one record under several draws of hidden values (`vadose.samples.gaps.lay_gaps`),
            or several records. Their maps may differ in size.
        validation
            To stop by, and to choose the step by. Without any, the last quarter of several
            scenes is held out, one at least. What is hidden in one of them teaches nothing in a scene of
            the same record. Draws differ much in how hard they are: the more, the surer the choice.
        progress
            Told after each epoch.

        Raises
        ------
        ModelProblem
            Parameters out of their range, scenes that do not go together, nothing hidden to learn from, or
            a loss that is not finite.
        UnknownName
            A step that does not exist.
        MissingExtra
            Without torch.
        """
        self._check()
        learned, held = split_scenes(scenes, validation)
        need_torch()
        from vadose.models import training
        from vadose.models.drcgan.losses import Weights
        from vadose.models.drcgan.networks import Cycle
        from vadose.models.drcgan.steps import Task

        code = Encoding.learn(learned, neighbours=self.neighbours, wraps=self.wraps)
        for number, scene in enumerate([*learned, *held]):
            code.check(scene, f"scene {number + 1}")
        task = Task(
            [code.view(one) for one in learned],
            [code.view(one) for one in held],
            Weights(self.l1, self.adversarial, self.cycle, self.identity, self.observed),
            self.crop,
        )
        with training.seeded(self.seed, 1):
            cycle = Cycle(
                code.width, code.told, width=self.width, blocks=self.blocks, dropout=self.dropout
            )
        self.encoding_: Encoding = code
        self.history: dict[str, History] = {}
        self._train(cycle, task, progress)
        return self

    def _check(self) -> None:
        """Refuse parameters that make no network."""
        check_ranges(self, self.ranges)
        if self.step not in get_args(Step):
            raise UnknownName(f"step of {self.name}", self.step, get_args(Step))
        if len(self.bounds) != 2 or not self.bounds[0] < self.bounds[1]:
            raise ModelProblem(
                f"bounds of {self.name}",
                found=repr(self.bounds),
                expected="the least and the largest value",
            )

    def _train(self, cycle: Cycle, task: Task, progress: Progress) -> None:
        """Train both steps, and keep one."""
        from vadose.models.drcgan.steps import evaluate, train

        # without held-out gaps nothing says that the second step wins
        is_second = self.step == "adversarial" or (self.step == "best" and bool(task.held))
        plans = {"supervised": self._plan(1.0)}
        if is_second:
            plans["adversarial"] = self._plan(SECOND_STEP)
        total, before = sum(plan.epochs for plan in plans.values()), 0
        judged: dict[str, Judgement] = {}
        for name, plan in plans.items():
            cycle.settle()

            def tell(
                done: int, _: int, note: str = "", *, by: int = before, of: str = name
            ) -> None:
                progress(by + done, total, f"{of} step, {note}")

            self.history[name] = train(
                cycle,
                task,
                plan,
                is_adversarial=name == "adversarial",
                checkpoint=None if self.checkpoint is None else self.checkpoint / name,
                progress=tell,
            )
            before += plan.epochs
            if task.held:
                judged[name] = evaluate(cycle.steady, task, plan)
            is_kept = (
                name == "supervised"
                or self.step == "adversarial"
                or judged[name].best ** 0.5 < (1 - LEAST_GAIN) * judged["supervised"].best ** 0.5
            )
            if is_kept:
                kept, self.module_ = name, copy.deepcopy(cycle.steady).eval()
        self.share_ = judged[kept].best_share if judged else 1.0
        unit = task.departure * float(self.encoding_.satellite.width[0])
        scores = {name: unit * one.best**0.5 for name, one in judged.items()}
        if judged:
            scores["guess"] = unit * judged["supervised"].error(0.0) ** 0.5
        self.kept_ = Kept(kept, **scores)

    def _plan(self, share: float) -> Plan:
        from vadose.models.training import Plan

        return Plan(
            epochs=max(round(self.epochs * share), min(self.epochs, 1)),
            batch=self.batch,
            rate=self.rate * share,
            decay=self.decay,
            patience=self.patience,
            seed=self.seed,
            is_mixed=self.is_mixed,
        )

    def predict(self, scene: Scene) -> npt.NDArray[np.float32]:
        """Give the satellite's field on all days of a scene, whatever its size.

        Its truth is not looked at.

        Returns
        -------
        numpy.ndarray
            Dims ``time, y, x``, within `bounds`; NaN where the land model is.

        Raises
        ------
        ModelProblem
            Without a fit, or for a scene that does not suit it.
        """
        self._need_fit()
        seen = replace(scene, truth=None)
        seen.check()
        self.encoding_.check(seen)
        view = self.encoding_.view(seen)
        from vadose.models.drcgan.tiles import predict_tiles

        low, high = self.bounds
        result = np.full(scene.model.shape, np.nan, dtype=np.float32)
        for place, part in predict_tiles(
            self.module_, view, self.share_, side=self.tile, is_mixed=self.is_mixed
        ):
            is_land = np.isfinite(scene.model[place])
            result[place] = np.where(is_land, np.clip(part, low, high), np.nan)
        return result

    def _need_fit(self) -> None:
        if not hasattr(self, "module_"):
            raise ModelProblem(self.name, found="no fit", remedy="Call fit first.")

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``weights.safetensors`` into an existing empty folder."""
        self._need_fit()
        from safetensors.torch import save_file

        description = {
            "parameters": {name: getattr(self, name) for name in signature(type(self)).parameters},
            "encoding": self.encoding_.describe(),
            "history": {name: asdict(one) for name, one in self.history.items()},
            "kept": asdict(self.kept_),
            "share": self.share_,
        }
        write_description(folder, self.name, description)
        weights = self.module_.state_dict()
        save_file(
            {name: one.detach().cpu().contiguous() for name, one in weights.items()},
            folder / "weights.safetensors",
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved model; it predicts the same to the bit.

        Raises
        ------
        ModelProblem
            A missing or damaged file, or weights that do not suit the description.
        MissingExtra
            Without torch.
        """
        description = read_description(folder, cls.name)
        need_torch()
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from vadose.models.drcgan.networks import DeepResidual
        from vadose.models.training import History

        try:
            model = cls(**description["parameters"])
            model._check()
            model.encoding_ = Encoding.read(description.get("encoding"), of=str(folder))
            model.history = {name: History(**one) for name, one in description["history"].items()}
            model.kept_ = Kept(**description["kept"])
            model.share_ = float(description["share"])
            module = DeepResidual(
                model.encoding_.width, width=model.width, blocks=model.blocks, dropout=model.dropout
            )
            module.load_state_dict(load_file(Path(folder) / "weights.safetensors"))
        except (KeyError, TypeError, OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise ModelProblem(
                folder,
                found=f"no model that can be used ({str(error).splitlines()[0]})",
                expected="a saved model",
            ) from error
        model.module_ = module.requires_grad_(False).eval()
        return model
