"""The verdict: what the numbers say of the published method, in one honest sentence and a few figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vadose.report.origins import Origins
from vadose.report.runs import Run, Scores
from vadose.report.standing import Standing, Standings
from vadose.report.style import pretty_unit
from vadose.report.tables import cell_size, change, number, small, whole

#: Share of values inside the range that was learned from, below which the head of the page warns.
MOSTLY_INSIDE = 0.5
#: Share of the judged area that may be frozen, under snow or ice without a word in the head.
LITTLE_FROZEN = 0.1
NEAREST = "the coarse value copied to every fine cell"


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


def judge_run(run: Run, found: Standings) -> Verdict:
    """Judge the published method of a run; say so where nothing could judge it."""
    if run.is_scored:
        return judge(run.scores, run.manifest.method, found)
    title = run.scores.methods[run.manifest.method].title
    sentence = (
        f"“{title}” was not judged: the run had neither a withheld truth nor stations, so nobody can say "
        "whether the fine pattern is right."
    )
    return Verdict(sentence, "mixed", ())


def judge(scores: Scores, published: str, found: Standings) -> Verdict:
    """Judge the published method against the two ways of doing nothing.

    Parameters
    ----------
    scores
        Scores of all methods on the same samples.
    published
        Name of the method that made the product.
    found
        How every method stands to the baselines; what the intervals of paired differences say.
    """
    method, unit = scores.methods[published], pretty_unit(scores.unit)
    title, rmse = f"“{method.title}”", method.pooled.rmse
    mine = f"{number(rmse, 4)} {unit}".strip()
    remarks = _remarks(scores, published, found)
    own = found[published].get("nearest")
    if published == "nearest":
        sentence = f"The product is {NEAREST}: RMSE {mine}."
        return Verdict(sentence, "mixed", remarks)
    if own is None or own.kind == "untold":
        why = f" ({own.why})" if own is not None and own.why else ""
        sentence = (
            f"{title} has an RMSE of {mine}; without a score of the coarse value itself to hold it against{why}, "
            "nobody can say whether downscaling has helped."
        )
        return Verdict(sentence, "mixed", remarks)
    theirs = number(scores.methods["nearest"].pooled.rmse, 4)
    by = change(rmse, scores.methods["nearest"].pooled.rmse)
    of_interval = f" ({own.interval})" if own.has_interval else ""
    if own.metric == "ubRMSE":
        sentence, tone = _of_stations(title, own, found[published].get("smooth"))
        sentence += (
            f"; over all station-days its RMSE is {mine}, {by} than the {theirs} of {NEAREST}"
            if by not in ("", "the same")
            else ""
        )
    elif own.kind == "worse":
        sentence = (
            f"{title} is worse than doing nothing: its RMSE is {mine}, while copying the coarse "
            f"value to every fine cell gives {theirs}{of_interval}"
        )
        tone = "bad"
    elif own.kind == "same":
        sentence = (
            f"{title} is not shown to differ from doing nothing: its RMSE is {mine}, that of {NEAREST} "
            f"{theirs}{of_interval}"
        )
        tone = "mixed"
    else:
        sentence = f"{title} is better than doing nothing: its RMSE is {mine}, {by} than the {theirs} of {NEAREST}{of_interval}"
        more, tone = _against_smooth(scores, published, found)
        sentence += more
    return Verdict(f"{sentence}{_inside(scores, published)}.", tone, remarks)


def _of_stations(title: str, own: Standing, smooth: Standing | None) -> tuple[str, str]:
    """Say how a method stands at stations: what their section says, in fewer words."""
    words = {
        "better": "better than",
        "worse": "worse than",
        "same": "not shown to differ from",
    }
    nothing = "doing nothing" if own.kind != "same" else f"doing nothing, {NEAREST}"
    sentence = f"At stations {title} is {words[own.kind]} {nothing} ({own.interval})"
    tone = {"better": "good", "worse": "bad"}.get(own.kind, "mixed")
    if smooth is not None and smooth.kind != "untold":
        joint = "and" if smooth.kind == own.kind else "but"
        sentence += f", {joint} {words[smooth.kind]} smooth interpolation"
        if smooth.kind == "worse":
            tone = "bad" if own.kind != "better" else "mixed"
        elif smooth.kind == "same" and own.kind == "better":
            tone = "mixed"
    return sentence, tone


def _against_smooth(scores: Scores, published: str, found: Standings) -> tuple[str, str]:
    """Go on with smooth interpolation, of a method that is better than the copied value."""
    smooth = found[published].get("smooth")
    if smooth is None or smooth.kind in ("better", "untold"):
        return "", "good"
    theirs = number(scores.methods["smooth"].pooled.rmse, 4)
    if smooth.kind == "worse" or not smooth.has_interval:
        return f", but smooth interpolation, which needs no predictors, reaches {theirs}", "mixed"
    return (
        f", but it is not shown to differ from smooth interpolation, which needs no predictors and reaches {theirs}",
        "mixed",
    )


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


def _remarks(scores: Scores, published: str, found: Standings) -> tuple[str, ...]:
    """Say what the sentence leaves out: a better method, methods that do harm, and what cannot be told."""
    remarks = []
    own = found[published].get("nearest")
    if own is not None and own.kind != "untold" and not own.has_interval:
        remarks.append(
            "How sure this is the run does not say: its scores have no interval. vadose validate RUN gives them one."
        )
    if scores.best != published:
        best = scores.methods[scores.best]
        remarks.append(
            f"Of the methods compared the least RMSE is not that of the published one but of “{best.title}” "
            f"({number(best.pooled.rmse, 4)})."
        )
    others = [
        name
        for name, method in scores.methods.items()
        if name != published and not method.is_baseline
    ]
    harmful = [
        f"“{scores.methods[name].title}”"
        for name in others
        if "nearest" in found[name] and found[name]["nearest"].kind == "worse"
    ]
    if harmful:
        verb = "is" if len(harmful) == 1 else "are"
        remarks.append(
            f"Of the {len(others)} other methods (beside the baselines and the published one), {len(harmful)} "
            f"{verb} worse than doing nothing: {', '.join(harmful)}."
            if len(others) > 1
            else f"The one other method, {harmful[0]}, is worse than doing nothing."
        )
    return tuple(remarks)


def warning_of(origins: Origins | None) -> tuple[str, ...]:
    """Warn at the head of the page where most of the product is extrapolated."""
    if origins is None or origins.inside_share >= MOSTLY_INSIDE:
        return ()
    return (
        f"Of its values {origins.outside_words} are extrapolated: a predictor lies beyond all that the model "
        f"has learned from{origins.filled_words}. There nothing tells that its pattern is right.",
    )


def remarks_on(run: Run) -> tuple[str, ...]:
    """Say at the head of the page what the numbers there are worth: of frozen ground, and without uncertainty."""
    remarks = []
    frozen = _frozen(run)
    if frozen:
        remarks.append(frozen)
    if not has_uncertainty(run):
        remarks.append(
            "The product carries no uncertainty: its recipe does not ask for intervals "
            "(intervals: {level: 0.9} gives every value one)."
        )
    return tuple(remarks)


def has_uncertainty(run: Run) -> bool:
    """Tell whether the product has an interval, a spread or an uncertainty beside its values."""
    target = run.manifest.target
    names = (f"{target}_{kind}" for kind in ("interval_width", "lower", "spread", "uncertainty"))
    return any(name in run.product for name in names)


def _frozen(run: Run) -> str:
    """Say how much of what was judged is frozen or under snow or ice, and what is left without it."""
    free, published = run.scores.strata.get("unfrozen"), run.manifest.method
    if free is None or published not in free.methods or free.share_of_area > 1 - LITTLE_FROZEN:
        return ""
    own = free.methods[published]
    base = free.methods.get("nearest")
    text = (
        f"{100 * (1 - free.share_of_area):.0f} % of the area judged is frozen, or under snow or ice, where soil "
        f"moisture means little. On the unfrozen rest the RMSE is {number(own.pooled.rmse, 4)}"
    )
    if base is not None:
        text += (
            f", {_compared(own.pooled.rmse, base.pooled.rmse, 'that of the copied coarse value')}"
        )
    low, high = own.gain_over_nearest.rmse_lower, own.gain_over_nearest.rmse_upper
    if np.isfinite([low, high]).all() and low <= 0 <= high:
        text += " (not shown to differ)"
    return f"{text}."


def _compared(error: float, base: float, what: str) -> str:
    """Say how an error compares with another one."""
    words = change(error, base)
    return (
        f"{words} {'as' if words == 'the same' else 'than'} {what}" if words else f"beside {what}"
    )


def facts(run: Run, origins: Origins | None = None) -> list[Fact]:
    """Give the few numbers that stand at the head of the report."""
    scores, published = run.scores, run.manifest.method
    method, nearest = scores.methods[published], scores.methods.get("nearest")
    smooth = scores.methods.get("smooth")
    unit = pretty_unit(scores.unit)
    against = ""
    if nearest is not None and published != "nearest":
        words = change(method.pooled.rmse, nearest.pooled.rmse)
        against = f"{words} than nearest" if words not in ("", "the same") else words
    detail = ""
    if smooth is not None and np.isfinite(smooth.within_cell.r):
        detail = f"smooth interpolation: {number(smooth.within_cell.r, 2)}"
    rows, columns = run.fine_grid.shape
    size = Fact(
        "Cell size",
        f"{cell_size(run.coarse_grid)} → {cell_size(run.fine_grid)}",
        f"{whole(rows)} × {whole(columns)} cells",
    )
    inside = (
        []
        if origins is None
        else [Fact("Inside the range trained on", origins.inside_words, f"of {origins.counted}")]
    )
    if not run.is_scored:
        return [size, Fact("Dates", whole(run.product.sizes.get("time", 1))), *inside]
    found = [Fact("RMSE", f"{number(method.pooled.rmse, 4)} {unit}".strip(), against)]
    if np.isfinite(method.within_cell.r):
        found.append(Fact("r inside coarse cells", number(method.within_cell.r, 2), detail))
    return [
        *found,
        size,
        Fact("Largest closure error", small(method.closure_max), unit),
        Fact(
            "Samples judged",
            whole(scores.n),
            "weighed by cell area" if scores.weights == "cell area" else "",
        ),
        *inside,
    ]
