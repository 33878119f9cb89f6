"""Means over seeds with 95 % intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.special

CONFIDENCE = 0.95
MIN_TEST_ROWS = 30
MIN_CLASS_ROWS = 5


def t_interval(
    values: Sequence[float], *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Student's t-interval for the mean of independent repetitions.

    Args:
        values: One per seed, at least two.
        confidence: How often such intervals hold the mean, between 0 and 1.

    Returns:
        Lower and upper limit.

    Raises:
        ValueError: If there are fewer than two values.
    """
    n = len(values)
    if n < 2:  # noqa: PLR2004
        raise ValueError(f"`values` must be at least 2 for an interval, got {n}.")
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    half = scipy.special.stdtrit(n - 1, 0.5 + confidence / 2) * deviation / np.sqrt(n)
    return float(mean - half), float(mean + half)


def too_few_rows(rows: int, positives: int) -> str:
    """Why so few test rows carry no interval; empty if they do."""
    if rows < MIN_TEST_ROWS or min(positives, rows - positives) < MIN_CLASS_ROWS:
        return f"too few test rows for an interval: {rows}, {positives} positive"
    return ""


def summarize(
    values: Sequence[float | None], *, reason: str = "", few_rows: str = ""
) -> dict[str, Any]:
    """Mean, interval and values over seeds, as `summary.json` holds them.

    Args:
        values: One per seed; None where undefined.
        reason: Why a value is undefined.
        few_rows: If given, why no interval is shown.

    Returns:
        `{"mean", "ci95", "values"}`; an undefined mean or interval is null with
        its reason.
    """
    if not values or any(value is None for value in values):
        return {
            "mean": None,
            "reason": reason or "undefined",
            "values": [None if value is None else float(value) for value in values],
        }
    defined = [float(value) for value in values if value is not None]
    summary: dict[str, Any] = {"mean": float(np.mean(defined)), "ci95": None}
    if few_rows:
        summary["reason"] = few_rows
    elif len(defined) < 2:  # noqa: PLR2004
        summary["reason"] = "one seed gives no interval"
    else:
        summary["ci95"] = list(t_interval(defined))
    return summary | {"values": defined}
