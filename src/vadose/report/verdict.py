"""The verdict: what the numbers say of the published method, in one honest sentence and a few figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vadose.report.runs import Run, Scores
from vadose.report.style import pretty_unit
from vadose.report.tables import EQUAL, cell_size, does_harm, number, percent, small, whole


@dataclass(frozen=True)
class Verdict:
    """Hold the sentence, its tone (``good``, ``mixed`` or ``bad``) and what else must be said."""

    sentence: str
    tone: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """Hold one of the few numbers at the head of the report."""

    label: str
    value: str
    note: str = ""


def judge_run(run: Run) -> Verdict:
    """Judge the published method of a run; say so where nothing could judge it."""
    if run.is_scored:
        return judge(run.scores, run.manifest.method)
    title = run.scores.methods[run.manifest.method].title
    sentence = (
        f"“{title}” was not judged: the run had neither a withheld truth nor stations, so nobody can say "
        "whether the fine pattern is right."
    )
    return Verdict(sentence, "mixed", ())


def judge(scores: Scores, published: str) -> Verdict:
    """Judge the published method against the two ways of doing nothing.

    Parameters
    ----------
    scores
        Scores of all methods on the same samples.
    published
        Name of the method that made the product.
    """
    method, unit = scores.methods[published], pretty_unit(scores.unit)
    title, rmse = f"“{method.title}”", method.pooled.rmse
    mine = f"{number(rmse, 4)} {unit}".strip()
    nearest, smooth = (scores.methods.get(name) for name in ("nearest", "smooth"))
    if nearest is None or not np.isfinite([rmse, nearest.pooled.rmse]).all():
        sentence = (
            f"{title} has an RMSE of {mine}; without a score of the coarse value itself, nobody "
            "can say whether downscaling has helped."
        )
        return Verdict(sentence, "mixed", _remarks(scores, published))
    base = nearest.pooled.rmse
    theirs = number(base, 4)
    share = (base - rmse) / base if base else 0.0
    if published == "nearest":
        sentence = f"The product is the coarse value copied to every fine cell: RMSE {mine}."
        return Verdict(sentence, "mixed", _remarks(scores, published))
    if share < -EQUAL:
        sentence = (
            f"{title} is worse than doing nothing: its RMSE is {mine}, while copying the coarse "
            f"value to every fine cell gives {theirs}"
        )
        return Verdict(
            f"{sentence}{_inside(scores, published)}.", "bad", _remarks(scores, published)
        )
    if share <= EQUAL:
        sentence = (
            f"{title} makes no difference to the RMSE: {mine}, against {theirs} for the coarse "
            f"value copied to every fine cell{_inside(scores, published)}."
        )
        return Verdict(sentence, "mixed", _remarks(scores, published))
    sentence = (
        f"{title} lowers the RMSE from {theirs} (the coarse value copied to every fine cell) to "
        f"{mine}, by {percent(share).lstrip('+')}"
    )
    if smooth is not None and published != "smooth" and smooth.pooled.rmse <= rmse * (1 + EQUAL):
        sentence += (
            f", but smooth interpolation, which needs no predictors, reaches "
            f"{number(smooth.pooled.rmse, 4)}"
        )
        tone = "mixed"
    else:
        tone = "good"
    return Verdict(f"{sentence}{_inside(scores, published)}.", tone, _remarks(scores, published))


def _inside(scores: Scores, published: str) -> str:
    """Say how well the fine structure inside coarse cells is met."""
    inside = scores.methods[published].within_cell.r
    if not np.isfinite(inside):
        return ""
    text = f"; inside coarse cells it correlates with the truth at r = {number(inside, 2)}"
    smooth = scores.methods.get("smooth")
    if smooth is not None and published != "smooth" and np.isfinite(smooth.within_cell.r):
        text += f" (smooth interpolation: {number(smooth.within_cell.r, 2)})"
    return text


def _remarks(scores: Scores, published: str) -> tuple[str, ...]:
    """Say what the sentence leaves out: a better method, and methods that do harm."""
    remarks = []
    if scores.best != published:
        best = scores.methods[scores.best]
        remarks.append(
            f"The best of the methods compared is not the one published but “{best.title}” "
            f"(RMSE {number(best.pooled.rmse, 4)})."
        )
    harmful = [
        f"“{method.title}”"
        for name, method in scores.methods.items()
        if name != published and does_harm(scores, name)
    ]
    if harmful:
        count = len(scores.methods) - sum(m.is_baseline for m in scores.methods.values())
        verb = "is" if len(harmful) == 1 else "are"
        remarks.append(
            f"Of the {count} methods beside the baselines, {len(harmful)} {verb} worse than doing "
            f"nothing: {', '.join(harmful)}."
        )
    return tuple(remarks)


def facts(run: Run) -> list[Fact]:
    """Give the few numbers that stand at the head of the report."""
    scores, published = run.scores, run.manifest.method
    method, nearest = scores.methods[published], scores.methods.get("nearest")
    smooth = scores.methods.get("smooth")
    unit = pretty_unit(scores.unit)
    against = ""
    if nearest is not None and nearest.pooled.rmse > 0:
        change = (method.pooled.rmse - nearest.pooled.rmse) / nearest.pooled.rmse
        against = f"{percent(change)} against nearest" if np.isfinite(change) else ""
    detail = ""
    if smooth is not None and np.isfinite(smooth.within_cell.r):
        detail = f"smooth interpolation: {number(smooth.within_cell.r, 2)}"
    rows, columns = run.fine_grid.shape
    size = Fact(
        "Cell size",
        f"{cell_size(run.coarse_grid)} → {cell_size(run.fine_grid)}",
        f"{whole(rows)} × {whole(columns)} cells",
    )
    if not run.is_scored:
        return [size, Fact("Dates", whole(run.product.sizes.get("time", 1)))]
    return [
        Fact("RMSE", f"{number(method.pooled.rmse, 4)} {unit}".strip(), against),
        Fact("r inside coarse cells", number(method.within_cell.r, 2), detail),
        size,
        Fact("Largest closure error", small(method.closure_max), unit),
        Fact("Samples judged", whole(scores.n)),
    ]
