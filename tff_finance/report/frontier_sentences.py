"""Sentences about privacy and its cost that a risk officer can quote.

Made of the numbers of `privacy_frontier.json` alone; English.
"""

from collections.abc import Mapping
from typing import Any

TOLERANCES = {"auc": 0.01, "accuracy": 0.02}
"""By how much a private model may be worse: at most, at the interval's far limit."""

_CHANCE = {"auc": 0.5, "tpr_at_fpr_1": 0.01, "tpr_at_fpr_0_1": 0.001}
_NAMES = {"auc": "AUC", "accuracy": "accuracy"}
_EVERYBODY = ""
_SMALLEST_TOLD = 0.0005


def frontier_sentences(frontier: Mapping[str, Any]) -> list[str]:
    """What privacy costs and buys at each epsilon, and which one to take.

    Args:
        frontier: The content of `privacy_frontier.json`.

    Returns:
        First which epsilon keeps the tolerance; then a sentence for each epsilon,
        one for the training without privacy, and what none of them covers.
    """
    metric, levels = frontier["metric"], frontier["levels"]
    private = [level for level in levels.values() if level["epsilon"] is not None]
    return [
        _verdict(private, metric),
        *[_at(level, metric) for level in private],
        _without(levels["without"], levels["fed_avg"], metric),
        _limits(private),
    ]


def _verdict(private: list[Mapping[str, Any]], metric: str) -> str:
    """The smallest epsilon whose cost is within the tolerance for certain."""
    tolerance = TOLERANCES[metric]
    chosen = "chosen on the test rows that it is reported on"
    kept = [
        level["epsilon"]
        for level in private
        if level["to_without"][metric].get("ci95")
        and level["to_without"][metric]["ci95"][0] >= -tolerance
    ]
    if kept:
        return (
            f"The strongest guarantee that keeps the {_NAMES[metric]} within "
            f"{tolerance:g} of the same training without privacy, the far limit of its "
            f"95 % interval included, is epsilon {min(kept):g} per record, {chosen}."
        )
    on_average = [
        level["epsilon"]
        for level in private
        if (level["to_without"][metric]["mean"] or 0.0) >= -tolerance
    ]
    if on_average:
        return (
            f"On average the {_NAMES[metric]} stays within {tolerance:g} of the same "
            f"training without privacy from epsilon {min(on_average):g} per record on, "
            f"{chosen}; the 95 % intervals allow more loss at every epsilon."
        )
    return (
        f"No epsilon keeps the {_NAMES[metric]} within {tolerance:g} of the same "
        "training without privacy."
    )


def _at(level: Mapping[str, Any], metric: str) -> str:
    privacy = level["privacy"]
    return (
        f"At epsilon {level['epsilon']:g} per record (delta {privacy['delta']:.2g} at "
        f"most, {privacy['neighbouring'].replace('_', ' ')}, accountant "
        f"{privacy['accountant']}, protected from the server, the other banks and "
        f"whoever gets the model) the joint model's {_NAMES[metric]} on all banks' "
        f"test rows is {_value(level['pooled'][metric])}, "
        f"{_cost(level['to_without'][metric], 'the same training without privacy')}, "
        f"{_cost(level['to_fed_avg'][metric], 'FedAvg with early stopping')}; "
        f"{_attack(level['membership'][_EVERYBODY])}."
    )


def _without(level: Mapping[str, Any], fed_avg: Mapping[str, Any], metric: str) -> str:
    return (
        f"Without clipping and noise the same training has {_NAMES[metric]} "
        f"{_value(level['pooled'][metric])}, FedAvg with early stopping "
        f"{_value(fed_avg['pooled'][metric])}; nothing bounds what they tell; of the "
        f"first, {_attack(level['membership'][_EVERYBODY])}."
    )


def _cost(difference: Mapping[str, Any], reference: str) -> str:
    mean, limits = difference["mean"], difference.get("ci95")
    if mean is None:
        return f"at a difference to {reference} that can't be told"
    word = "below" if mean < 0 else "above"
    told = f"{abs(mean):.3f} {word} {reference}"
    if abs(mean) < _SMALLEST_TOLD:
        told = f"to three decimals that of {reference}"
    if not limits:
        return f"{told} (no interval)"
    low, high = limits
    told += f" (95 % interval of the difference {low:+.3f} to {high:+.3f}"
    return told + (", which includes 0)" if low <= 0 <= high else ")")


def _limits(private: list[Mapping[str, Any]]) -> str:
    """What is outside of every epsilon above, from the ledgers."""
    lines = dict.fromkeys(
        line for level in private for line in level["privacy"]["not_covered"]
    )
    return (
        "Each epsilon is for a row of one bank and for one run, of one method under "
        "one seed: what several banks or several runs release about the same person "
        "adds up. Each bank's number of rows is taken as public. Not covered: "
        f"{'; '.join(lines)}."
    )


def _attack(membership: Mapping[str, Any]) -> str:
    cells = {name: membership[name] for name in _CHANCE}
    said = f"membership AUC {_value(cells['auc'])}"
    rates = (
        f"true positive rate at 1 % false positives {_value(cells['tpr_at_fpr_1'])}, "
        f"at 0.1 % {_value(cells['tpr_at_fpr_0_1'], 4)}"
    )
    limits = {name: cell.get("ci95") for name, cell in cells.items()}
    if not all(limits.values()):
        return f"an attacker who has the model reaches {said} and {rates}"
    better = any(low > _CHANCE[name] for name, (low, _) in limits.items())
    verdict = "did better than chance" if better else "was not shown to beat chance"
    return (
        f"an attack by the loss of a row, by somebody who has the model, {verdict} "
        f"({said}, {rates})"
    )


def _value(cell: Mapping[str, Any], digits: int = 3) -> str:
    if cell["mean"] is None:
        return "undefined"
    mean = f"{cell['mean']:.{digits}f}"
    if not cell.get("ci95"):
        return mean
    low, high = (f"{limit:.{digits}f}" for limit in cell["ci95"])
    return f"{mean} ({low} to {high})"
