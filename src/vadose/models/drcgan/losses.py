"""Losses: how far made fields are from observed ones where these are known, and how well judges are deceived."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vadose.models.drcgan.networks import Cycle, DeepResidual, PatchJudge
from vadose.models.drcgan.samples import Batch


@dataclass(frozen=True)
class Weights:
    """Say how much each loss counts.

    Attributes
    ----------
    l1
        Distance to what was observed.
    adversarial
        Deceiving the judges.
    cycle
        Coming back to where one went from.
    identity
        Leaving a field of the satellite as it is.
    observed
        Share that values count which the network could see, beside hidden ones.
    """

    l1: float = 100.0
    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 5.0
    observed: float = 0.1


def distance(made: Tensor, wanted: Tensor, weight: Tensor, *, scale: float) -> Tensor:
    """Give the weighted mean of Huber's loss in units of `scale`: squares below it, L1 beyond.

    Where the weight is 0 nothing counts, not even what is not a number.

    References
    ----------
    Huber (1964), Ann. Math. Statist. 35:73.
    """
    difference = torch.where(weight > 0, (made - wanted) / scale, 0.0)
    loss = nn.functional.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="none")
    return (loss * weight).sum() / weight.sum().clamp_min(1e-9)


def make(
    network: DeepResidual, batch: Batch, departure: float, *, field: Tensor | None = None
) -> Tensor:
    """Give the satellite's field, scaled: the guess and what the network adds to it.

    Parameters
    ----------
    field
        In place of the land model's field of the day, scaled as that is.
    """
    channels = batch.channels
    if field is not None:
        channels = torch.cat([field.to(channels.dtype), channels[:, 1:]], dim=1)
    residual: Tensor = network(channels, batch.land).float()
    return batch.guess + departure * residual


def make_back(
    network: DeepResidual, batch: Batch, field: Tensor, mask: Tensor, told: int
) -> Tensor:
    """Give the land model's field, scaled, of a satellite's, of which only what the mask shows is seen."""
    shown = torch.where(mask > 0, field, 0.0)
    others = batch.channels[:, batch.channels.shape[1] - told :]
    residual: Tensor = network(torch.cat([shown, mask, others], dim=1), batch.land).float()
    return shown + residual


def supervise(cycle: Cycle, batch: Batch, weights: Weights, departure: float, told: int) -> Tensor:
    """Give the loss of the first step: both generators beside what was observed."""
    weight = batch.hidden + weights.observed * (batch.known - batch.hidden)
    model = batch.channels[:, :1]
    forth = distance(make(cycle.forth, batch, departure), batch.truth, weight, scale=departure)
    back = make_back(cycle.back, batch, batch.truth, batch.known, told)
    return forth + distance(back, model, batch.known, scale=1.0)


def _squares(judge: PatchJudge, field: Tensor, mask: Tensor, other: Tensor, goal: float) -> Tensor:
    verdict, share = judge(field, mask, other)
    loss: Tensor = ((verdict.float() - goal).square() * share).sum() / share.sum().clamp_min(1e-9)
    return loss


def compete(
    cycle: Cycle, batch: Batch, weights: Weights, departure: float, told: int
) -> tuple[Tensor, Tensor]:
    """Give the losses of the second step: of the generators, and of the judges.

    Observed and made fields are shown to a judge under the same mask, that of what was observed. Where a
    field made or observed stands in for the land model's, it does so on its day and where it is known; the
    guess and the other days stay.

    References
    ----------
    Zhu et al. (2017), arXiv:1703.10593; Mao et al. (2017), arXiv:1611.04076.
    """
    model, known, truth = batch.channels[:, :1], batch.known, batch.truth
    made = make(cycle.forth, batch, departure)
    back = make_back(cycle.back, batch, truth, known, told)
    weight = batch.hidden + weights.observed * (known - batch.hidden)
    supervised = distance(made, truth, weight, scale=departure) + distance(
        back, model, known, scale=1.0
    )
    judges = (cycle.judge_satellite, cycle.judge_model)
    for judge in judges:
        judge.requires_grad_(False)
    deceived = _squares(cycle.judge_satellite, made, known, model, 1.0) + _squares(
        cycle.judge_model, back, known, truth, 1.0
    )
    for judge in judges:
        judge.requires_grad_(True)
    returned = make_back(cycle.back, batch, made, batch.land, told)
    seen_back = torch.where(known > 0, back, model)
    again = make(cycle.forth, batch, departure, field=seen_back)
    itself = torch.where(known > 0, truth, model)
    same = make(cycle.forth, batch, departure, field=itself)
    generators = (
        weights.l1 * supervised
        + weights.adversarial * deceived
        + weights.cycle
        * (
            (returned - model).abs().mul(batch.land).sum() / batch.land.sum().clamp_min(1)
            + distance(again, truth, known, scale=departure)
        )
        + weights.identity * distance(same, truth, known, scale=departure)
    ) / weights.l1
    judged = torch.zeros((), device=truth.device)
    for judge, real, fake, other in (
        (cycle.judge_satellite, truth, made.detach(), model),
        (cycle.judge_model, model, back.detach(), truth),
    ):
        judged = judged + 0.5 * (
            _squares(judge, real, known, other, 1.0) + _squares(judge, fake, known, other, 0.0)
        )
    return generators, judged
