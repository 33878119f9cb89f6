"""Contribution: what each institution's rows add to the value of a joint model.

The value of a coalition is what the model is worth that its members train without
the others. An institution's contribution is what values lose without it: from
everybody (leave-one-out), or averaged over all orders in which the institutions
might have joined, which shares the whole value out (Shapley 1953, "A value for
n-person games"; of data sets, Ghorbani and Zou 2019, https://arxiv.org/abs/1904.02868).
"""

import itertools
import math
from collections.abc import Mapping, Sequence

from tff_finance import checks
from tff_finance.records.contribution_config import COALITIONS

Coalition = frozenset[str]

EMPTY_AUC = 0.5
"""Value of the coalition of nobody: the AUC of a score without information."""

MAX_EXACT = 6
"""Most institutions for which all coalitions are trained: 63 models under a seed."""


def coalitions_to_train(
    institutions: Sequence[str], which: str
) -> list[tuple[str, ...]]:
    """The coalitions whose values contributions are made from, large ones first.

    Args:
        institutions: Names of all, distinct.
        which: "all" for Shapley values; "leave_one_out" for everybody, and everybody
            but one.

    Returns:
        Members of each, in the order of `institutions`. Nobody's coalition, which
        trains nothing, isn't among them.

    Raises:
        ValueError: If there is no such choice, or if there are too many institutions
            for all coalitions.
    """
    checks.check_one_of("coalitions", which, COALITIONS)
    number = len(institutions)
    if which == "all" and number > MAX_EXACT:
        raise ValueError(
            f"`coalitions` of {number} institutions are 2**{number} - 1 = "
            f"{2**number - 1} models to train under each seed; exact Shapley values "
            f"are for at most {MAX_EXACT} institutions. Choose leave_one_out, which "
            f"trains {number + 1}."
        )
    smallest = 1 if which == "all" else max(1, number - 1)
    return [
        coalition
        for size in range(number, smallest - 1, -1)
        for coalition in itertools.combinations(institutions, size)
    ]


def shapley_values(
    institutions: Sequence[str], values: Mapping[Coalition, float]
) -> dict[str, float]:
    """Exact Shapley values.

    `phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S))`.

    Args:
        institutions: Names of all, distinct.
        values: The value `v` of every coalition, that of nobody among them.

    Returns:
        By institution. They add up to the value of everybody minus that of nobody.

    Raises:
        ValueError: If a coalition lacks its value.
    """
    number = len(institutions)
    shares = {}
    for name in institutions:
        others = [other for other in institutions if other != name]
        shares[name] = math.fsum(
            (_value(values, (*before, name)) - _value(values, before))
            / (number * math.comb(number - 1, size))
            for size in range(number)
            for before in itertools.combinations(others, size)
        )
    return shares


def leave_one_out(
    institutions: Sequence[str], values: Mapping[Coalition, float]
) -> dict[str, float]:
    """What everybody's value loses without each institution.

    Args:
        institutions: Names of all, distinct.
        values: The value of everybody, and of everybody but one for each.

    Returns:
        By institution. What two of them both bring counts for neither.

    Raises:
        ValueError: If a coalition lacks its value.
    """
    everybody = _value(values, institutions)
    return {
        name: everybody
        - _value(values, [other for other in institutions if other != name])
        for name in institutions
    }


def _value(values: Mapping[Coalition, float], members: Sequence[str]) -> float:
    try:
        return values[frozenset(members)]
    except KeyError:
        names = ", ".join(sorted(members)) or "nobody"
        raise ValueError(
            f"`values` must have one for the coalition of {names}."
        ) from None
