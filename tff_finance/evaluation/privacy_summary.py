"""What `summary.json` says of a method's privacy."""

from collections.abc import Sequence
from typing import Any

from tff_finance.records.privacy_row import ADVERSARIES, PrivacyRow

HOLDS_FOR = "one method under one seed; what several release of the same rows adds up"


def summarize_privacy(rows: Sequence[PrivacyRow]) -> dict[str, Any] | None:
    """Puts the guarantees of one method together, over institutions and seeds.

    A guarantee is for units of one institution. That of the largest epsilon and the
    largest delta holds for all of them, and stands first; those of each institution
    follow. About somebody with units at several institutions more is told:
    `across_institutions` is for one unit at each of all of them, and null where the
    rows have no such bound. More is told of everybody, too, by several methods, or by
    several seeds where these train on the same rows: each guarantee is for one of them.

    Args:
        rows: Of one method, in any order.

    Returns:
        None if there are none: nothing is promised.

    Raises:
        ValueError: If units or neighbouring relations differ, whose epsilons have no
            common scale.
    """
    if not rows:
        return None
    kinds = {(row.unit, row.neighbouring) for row in rows}
    if len(kinds) > 1:
        raise ValueError(
            f"`rows` must be of one unit and relation, got {sorted(kinds)}."
        )
    names = list(dict.fromkeys(row.institution for row in rows))
    against = set.intersection(*(set(row.adversaries) for row in rows))
    lines = dict.fromkeys(line for row in rows for line in row.not_covered_lines)
    return {
        "unit": rows[0].unit,
        "unit_in_words": rows[0].unit_in_words,
        "neighbouring": rows[0].neighbouring,
        **_worst(rows),
        "accountant": ", ".join(sorted({row.accountant for row in rows})),
        "against": [adversary for adversary in ADVERSARIES if adversary in against],
        "holds_for": HOLDS_FOR,
        "mechanism": ", ".join(sorted({row.mechanism for row in rows})),
        "across_institutions": _across_institutions(rows),
        "institutions": {
            name: _of_institution([row for row in rows if row.institution == name])
            for name in names
        },
        "not_covered": list(lines),
    }


def _worst(rows: Sequence[PrivacyRow]) -> dict[str, float]:
    return {
        "epsilon": max(row.epsilon for row in rows),
        "delta": max(row.delta for row in rows),
    }


def _across_institutions(rows: Sequence[PrivacyRow]) -> dict[str, Any] | None:
    """The worst over seeds; None unless all rows have it."""
    epsilons = [row.across_epsilon for row in rows if row.across_epsilon is not None]
    deltas = [row.across_delta for row in rows if row.across_delta is not None]
    if len(epsilons) < len(rows) or len(deltas) < len(rows):
        return None
    return {
        "epsilon": max(epsilons),
        "delta": max(deltas),
        "accountant": ", ".join(sorted({row.across_accountant for row in rows})),
    }


def _of_institution(rows: Sequence[PrivacyRow]) -> dict[str, Any]:
    """The worst over seeds; settings as lists if they differ between seeds."""
    settings = {
        name: _one_or_all([getattr(row, name) for row in rows])
        for name in (
            "population",
            "noise_multiplier",
            "sampling_probability",
            "steps",
            "l2_clip_norm",
            "target_epsilon",
            "least_honest",
            "most_rows",
        )
    }
    return {**_worst(rows), **settings}


def _one_or_all(values: Sequence[Any]) -> Any:
    return values[0] if len(set(values)) == 1 else list(values)
