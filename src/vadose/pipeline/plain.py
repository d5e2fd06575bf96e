"""Make results fit for JSON, which has no NaN: an undefined number is null."""

from __future__ import annotations

from typing import Any

import numpy as np


def number(value: Any) -> float | None:
    """Give a number, or None where it is not defined."""
    return float(value) if np.isfinite(value) else None


def plain(value: Any) -> Any:
    """Make nested results plain: text for names, lists for tuples, None for what is not defined.

    Examples
    --------
    >>> plain({"r": np.float64("nan"), 0.9: (1, np.float32(0.5))})
    {'r': None, '0.9': [1, 0.5]}
    """
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return number(value) if isinstance(value, float) else value
