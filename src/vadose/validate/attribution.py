"""SHAP values through the library `shap`: what each feature adds to a single prediction."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from vadose.errors import MissingExtra, ValueProblem
from vadose.models.trees import Trees
from vadose.validate.feature_groups import Groups
from vadose.validate.importance import Predict

Array = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
#: Largest difference between a prediction and what its SHAP values sum to, relative to their spread.
ADDITIVE = 1e-3
#: Samples that trees explain at once.
PART = 10


def shap_values(
    predict: Predict, X: Array, background: Array, *, trees: Trees | None = None, seed: int = 0
) -> Doubles:
    """Share out each prediction's departure from the mean over a background among the features.

    Parameters
    ----------
    predict
        The fitted model, of rows.
    X
        Samples to explain, dims ``(sample, feature)``.
    background
        Samples that stand for what is usual; the cost grows with them.
    trees
        The trees that the model is made of, for the exact and fast way; without them features are
        permuted, which takes some four predictions per feature, sample and background sample.
    seed
        Of the permutations.

    Returns
    -------
    numpy.ndarray
        Dims ``(sample, feature)``, unit of the target. They sum to the prediction minus the mean
        prediction over the background.

    Raises
    ------
    MissingExtra
        When shap is not installed.
    ValueProblem
        Samples that are no rows, or values that do not sum to the prediction.

    References
    ----------
    Lundberg and Lee (2017), NeurIPS 30; trees: Lundberg et al. (2020), Nat. Mach. Intell. 2:56
    (interventional).
    """
    if X.ndim != 2:
        raise ValueProblem("X", found=f"{X.ndim} dimensions", expected="(sample, feature)")
    shap = _library()
    table, usual = np.asarray(X, "f8"), np.asarray(background, "f8")
    if trees is not None:
        explainer = shap.TreeExplainer(
            as_dictionaries(trees), data=usual, feature_perturbation="interventional"
        )
        parts = [
            # small parts: the library shows a bar of its own when one takes long
            explainer.shap_values(table[start : start + PART], check_additivity=False)
            for start in range(0, len(table), PART)
        ]
        values = np.concatenate(parts).astype("f8")
    else:

        def double(rows: Array) -> Array:
            return np.asarray(predict(rows.astype(np.float32)), "f8")

        masker = shap.maskers.Independent(usual, max_samples=len(usual))
        permuting = shap.PermutationExplainer(double, masker, seed=seed)
        explained = permuting(table, max_evals=2 * (2 * X.shape[1] + 1), silent=True)
        values = np.asarray(explained.values, "f8")
    wanted = predict(X) - predict(background).mean()
    excess = float(np.abs(values.sum(axis=1) - wanted).max())
    if not excess <= ADDITIVE * max(float(np.std(wanted)), 1e-9):
        raise ValueProblem(
            "SHAP values",
            found=f"a sum that is off by {excess:.2g}",
            expected="the prediction minus its mean over the background",
        )
    return values


def _library() -> Any:
    """Import the library; what its figures, of which none is drawn here, are warned of is left to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"shap\.plots\b")
        try:
            import shap
        except ImportError as error:
            raise MissingExtra("shap", extra="explain") from error
    return shap


def as_dictionaries(trees: Trees) -> dict[str, Any]:
    """Give trees as the library takes them: one dictionary of arrays per tree, leaves marked by −1."""
    ends = np.append(trees.roots[1:], len(trees.feature))
    parts = []
    for root, end in zip(trees.roots, ends, strict=True):
        own = slice(root, end)
        node = np.arange(root, end)
        is_leaf = (trees.left[own] == node) & (trees.right[own] == node)
        left = np.where(is_leaf, -1, trees.left[own] - root).astype(np.int32)
        right = np.where(is_leaf, -1, trees.right[own] - root).astype(np.int32)
        parts.append(
            {
                "children_left": left,
                "children_right": right,
                "children_default": left,
                "features": np.where(is_leaf, -2, trees.feature[own]).astype(np.int32),
                "thresholds": np.where(is_leaf, 0.0, trees.threshold[own]),
                "values": (trees.value[own] * trees.scale)[:, None],
                "node_sample_weight": np.ones(end - root),
            }
        )
    return {
        "trees": parts,
        "base_offset": trees.offset,
        "internal_dtype": np.float64,
        "input_dtype": np.float64,
        "objective": "squared_error",
        "tree_output": "raw_value",
    }


def mean_size(values: Doubles, groups: Groups) -> dict[str, float]:
    """Give the mean absolute SHAP value of each group: features are summed first, so that opposites cancel.

    Examples
    --------
    >>> mean_size(np.array([[1.0, -1.0, 2.0]]), {"a": (0, 1), "b": (2,)})
    {'a': 0.0, 'b': 2.0}
    """
    return {
        name: float(np.abs(values[:, list(columns)].sum(axis=1)).mean())
        for name, columns in groups.items()
    }
