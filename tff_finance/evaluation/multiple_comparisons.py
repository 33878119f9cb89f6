"""Several differences read together: adjusted p-values and simultaneous intervals.

Of twenty 95 % intervals around nothing at all, one is expected to miss zero. Who
reads many gains at once and points at the best needs statements that hold for all
of them together with 95 % probability. Both methods hold for any dependence, such
as gains of one seed's methods and banks have.

Sources: Holm (1979), Scandinavian Journal of Statistics 6, 65-70, for p-values;
Bonferroni for intervals, since Holm's have no simple form.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import scipy.special

from tff_finance.evaluation.intervals import CONFIDENCE, t_interval

_Key = TypeVar("_Key", bound=Hashable)

# Differences of metrics near 1 carry rounding errors of 1e-16.
_NO_VARIATION = 1e-12


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values.

    The i-th smallest of m becomes the largest `(m - j + 1) p_j` of those up to it,
    at most 1. Comparing them with 0.05 keeps the probability of any wrong rejection
    at 5 % over the whole family.

    Args:
        p_values: Of the whole family, each between 0 and 1, in any order.

    Returns:
        Adjusted, in the same order.

    Raises:
        ValueError: If a p-value is not between 0 and 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    wrong = p[~((p >= 0) & (p <= 1))]
    if wrong.size:
        raise ValueError(f"`p_values` must be between 0 and 1, got {wrong[0]}.")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def t_test(differences: Sequence[float]) -> float | None:
    """Two-sided p-value of Student's t-test that the mean difference is 0.

    Args:
        differences: Paired, one per seed, at least two.

    Returns:
        The p-value; None if the differences don't vary, which leaves a t-test
        nothing to measure them against.

    Raises:
        ValueError: If there are fewer than two differences.
    """
    n = len(differences)
    if n < 2:  # noqa: PLR2004
        raise ValueError(f"`differences` must be at least 2 for a test, got {n}.")
    deviation = np.std(differences, ddof=1)
    if deviation < _NO_VARIATION:
        return None
    t = np.mean(differences) / (deviation / np.sqrt(n))
    return float(2 * scipy.special.stdtr(n - 1, -abs(t)))


def simultaneous(
    differences: Mapping[_Key, Sequence[float] | None], *, family: str
) -> dict[_Key, dict[str, Any]]:
    """Reads differences over seeds as one family.

    The family is what was asked, not what could be answered: a member without a
    test counts in its size, with p-value 1.

    Args:
        differences: By member, one per seed and at least two; None where there is
            no interval.
        family: Names what is read together.

    Returns:
        For each member with differences `{"family", "size", "ci95", "p_value",
        "p_holm"}`: the interval holds together with all others of the family. Both
        p-values are null with a reason where differences don't vary.
    """
    size = len(differences)
    p_values = {
        key: None if values is None else t_test(values)
        for key, values in differences.items()
    }
    adjusted = dict(
        zip(
            p_values,
            holm([1 if p is None else p for p in p_values.values()]),
            strict=True,
        )
    )
    results: dict[_Key, dict[str, Any]] = {}
    for key, values in differences.items():
        if values is None:
            continue
        interval = t_interval(values, confidence=1 - (1 - CONFIDENCE) / size)
        results[key] = {"family": family, "size": size, "ci95": list(interval)}
        if p_values[key] is None:
            results[key] |= {"p_value": None, "p_holm": None}
            results[key] |= {"reason": "equal differences under all seeds"}
        else:
            results[key] |= {"p_value": p_values[key], "p_holm": adjusted[key]}
    return results
