"""The attacks in plain language: says what the numbers show and no more."""

from collections.abc import Iterable, Mapping, Sequence

from tff_finance.report import attack_words, formats
from tff_finance.report.attack_results import (
    Result,
    is_refutable,
    is_refuted,
    value,
)
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Study

_PREPARED = "prepared_model"
# What makes two results those of the same attack.
_ATTACK = ("method", "hidden_units", "batch_size")


def attack_findings(study: Study, words: Words) -> list[str]:
    """Sentences on inversion, on membership, and on audits.

    Args:
        study: Of a record with attacks.
        words: The language.

    Returns:
        What there are results for.
    """
    attacks = study.summary["attacks"]
    return [
        *_inversion(attacks["inversion"], words),
        *_membership(attacks["membership"], words),
        *_canaries(attacks["canary"], words),
    ]


def _inversion(results: Sequence[Result], words: Words) -> list[str]:
    """For each kind of server what its best attack gets of few rows and of many."""
    cells: dict[tuple, dict[str, Result]] = {}
    for one in results:
        if one["target"] == "gradient" and one["institutions"] == 1:
            settings = (*_ATTACK, "protection", "epsilon")
            key = tuple(one[setting] for setting in settings)
            cells.setdefault(key, {})[one["metric"]] = one
    found = [cell for cell in cells.values() if "features_gained" in cell]
    sizes = {cell["features_gained"]["batch_size"] for cell in found}
    return [
        sentence
        for active in (False, True)
        for rows in sorted({min(sizes), max(sizes)} if sizes else ())
        if (sentence := _of_server(found, rows, words, active=active))
    ]


def _of_server(
    cells: Sequence[Mapping[str, Result]], rows: int, words: Words, *, active: bool
) -> str:
    """What one attack gets without protection, and the same attack with it."""
    of_server = [
        cell
        for cell in cells
        if cell["features_gained"]["batch_size"] == rows
        and (cell["features_gained"]["method"] == _PREPARED) == active
    ]
    private = [cell for cell in of_server if _protection(cell) == "record_dp"]
    compared = {_attack(cell) for cell in private}
    unprotected = [
        cell
        for cell in of_server
        if _protection(cell) == "none" and (not compared or _attack(cell) in compared)
    ]
    if not unprotected:
        return ""
    best = max(unprotected, key=lambda cell: cell["features_gained"]["mean"])
    recovered = best["features_recovered"]
    values = {
        "rows": words.number(rows),
        "neurons": words.number(recovered["hidden_units"]),
        "method": attack_words.method(recovered["method"], words),
        "share": words.percent(recovered["mean"]),
        "more": _gained(best, words),
    }
    if active:
        del values["method"]
        text = words.say(
            "A server that sends a manipulated model gets back %(share)s of the "
            "features from one bank's gradient, rows behind it %(rows)s, neurons of "
            "the first layer %(neurons)s: %(more)s percentage points more than without "
            "any information.",
            **values,
        )
    else:
        text = words.say(
            "An honest but curious server gets back %(share)s of the features from one "
            "bank's gradient, rows behind it %(rows)s, neurons of the first layer "
            "%(neurons)s, by %(method)s: %(more)s percentage points more than without "
            "any information.",
            **values,
        )
    same = [cell for cell in of_server if _attack(cell) == _attack(best)]
    return formats.join(words, text, _protected(same, words), _control(same, words))


def _protected(cells: Sequence[Mapping[str, Result]], words: Words) -> str:
    """What the attack gets in spite of privacy; empty if it wasn't tried."""
    parts = [
        words.say(
            "%(protection)s: %(share)s, %(more)s points more",
            protection=attack_words.protection(cell["features_recovered"], words),
            share=words.percent(cell["features_recovered"]["mean"]),
            more=_gained(cell, words),
        )
        for cell in cells
        if _protection(cell) == "record_dp"
    ]
    if not parts:
        return ""
    return words.say(
        "The same attack, protected: %(parts)s.", parts=words.say("; ").join(parts)
    )


def _control(cells: Sequence[Mapping[str, Result]], words: Words) -> str:
    """That hardly any noise stops the attack too, if it does."""
    controls = [
        value(cell["features_gained"])
        for cell in cells
        if _protection(cell) == "little_noise"
    ]
    if not any(one["ci95"] and one["ci95"][0] <= 0 for one in controls):
        return ""
    return words.say(
        "Hardly any noise, which protects nobody, stops it as well: this attack shows "
        "nothing of privacy."
    )


def _attack(cell: Mapping[str, Result]) -> tuple:
    return tuple(cell["features_gained"][setting] for setting in _ATTACK)


def _protection(cell: Mapping[str, Result]) -> str:
    return cell["features_gained"]["protection"]


def _gained(cell: Mapping[str, Result], words: Words) -> str:
    return formats.points(value(cell["features_gained"]), words)


def _membership(results: Sequence[Result], words: Words) -> list[str]:
    sentences = []
    pooled = [
        one
        for one in results
        if one["metric"] == "auc"
        and not one["institution"]
        and one["model"] == "global"
    ]
    for target in dict.fromkeys(one["target"] for one in pooled):
        of_target = [one for one in pooled if one["target"] == target]
        unprotected = [one for one in of_target if one["protection"] == "none"]
        private = [one for one in of_target if one["protection"] == "record_dp"]
        parts = [
            words.say(
                "%(protection)s: %(share)s",
                protection=attack_words.protection(one, words),
                share=formats.plain(value(one), words),
            )
            for one in (_best(unprotected), *_by_epsilon(private))
        ]
        sentences.append(
            words.say(
                "Whose rows the global model was trained on, by the best attack, AUC, "
                "%(target)s: %(parts)s. 0.5 is a coin.",
                target=attack_words.place(of_target[0], ("target",), words),
                parts=words.say("; ").join(parts),
            )
        )
    return sentences


def _canaries(results: Sequence[Result], words: Words) -> list[str]:
    largest = _of_metric(results, "largest_bound")
    shares = _of_metric(results, "refutable_noise_share")
    bounds = {
        key: one
        for key, one in _of_metric(results, "epsilon_bound").items()
        if one["protection"] == "record_dp"
    }
    if not bounds:
        return []
    if any(is_refuted(one) for one in bounds.values()):
        return [
            words.say(
                "Canaries refute a claimed epsilon: see the lower bounds. Private "
                "training doesn't keep what it claims."
            )
        ]
    could: dict[float, bool] = {}  # of a claim that is audited in several ways: in all
    for key, one in bounds.items():
        refutable = is_refutable(one, largest[key], shares.get(key))
        could[one["epsilon"]] = could.get(one["epsilon"], True) and refutable
    yes = [epsilon for epsilon, refutable in could.items() if refutable]
    no = [epsilon for epsilon, refutable in could.items() if not refutable]
    sentences = [
        words.say(
            "No canary refutes a claimed epsilon of %(epsilons)s, as runs could have.",
            epsilons=_list(yes, words),
        )
        if yes
        else "",
        words.say(
            "So few runs can't refute a claimed epsilon of %(epsilons)s.",
            epsilons=_list(no, words),
        )
        if no
        else "",
        _missed(results, words),
    ]
    return [formats.join(words, *sentences)]


def _missed(results: Sequence[Result], words: Words) -> str:
    """That the audit is worthless, if it is."""
    broken: dict[str, list[bool]] = {}
    for one in results:
        if one["metric"] == "epsilon_bound" and one["protection"] != "record_dp":
            found = broken.setdefault(one["protection"], [])
            found.append(is_refuted(one))
    if all(any(found) for found in broken.values()):
        return ""
    return words.say(
        "Training whose noise or sampling was left out wasn't found out either, so "
        "that this shows nothing."
    )


def _of_metric(results: Sequence[Result], metric: str) -> dict[tuple, Result]:
    """By what is audited and how."""
    settings = ("protection", "epsilon", "batch_size", "method")
    return {
        tuple(one[setting] for setting in settings): one
        for one in results
        if one["metric"] == metric
    }


def _list(epsilons: Iterable[float], words: Words) -> str:
    return words.say(", ").join(f"{epsilon:g}" for epsilon in sorted(set(epsilons)))


def _best(results: Sequence[Result]) -> Result:
    return max(results, key=lambda one: one["mean"])


def _by_epsilon(results: Sequence[Result]) -> list[Result]:
    """The best attack at each epsilon, in order."""
    epsilons = dict.fromkeys(one["epsilon"] for one in results)
    return [
        _best([one for one in results if one["epsilon"] == epsilon])
        for epsilon in epsilons
    ]
