"""The attacks in plain language: says what the numbers show and no more."""

from collections.abc import Iterable, Sequence

from tff_finance.report import attack_words, formats
from tff_finance.report.attack_words import Result
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Study


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
    gradients = [
        one
        for one in results
        if one["target"] == "gradient" and one["institutions"] == 1
    ]
    sentences = []
    for rows in dict.fromkeys(one["batch_size"] for one in gradients):
        of_rows = [one for one in gradients if one["batch_size"] == rows]
        recovered = [one for one in of_rows if one["metric"] == "features_recovered"]
        unprotected = [one for one in recovered if one["protection"] == "none"]
        private = [one for one in recovered if one["protection"] == "record_dp"]
        nothing = [
            one for one in of_rows if one["metric"] == "features_without_information"
        ]
        if not unprotected:
            continue
        text = words.say(
            "From one bank's gradient, rows behind it %(rows)s, an attacker gets back "
            "%(share)s of the features; without any information %(nothing)s.",
            rows=words.number(rows),
            share=words.percent(_best(unprotected)["mean"]),
            nothing=words.percent(_best(nothing)["mean"]),
        )
        parts = [
            words.say(
                "%(protection)s: %(share)s",
                protection=attack_words.protection(one, words),
                share=words.percent(one["mean"]),
            )
            for one in _by_epsilon(private)
        ]
        if parts:
            protected = words.say(
                "Protected: %(parts)s.", parts=words.say("; ").join(parts)
            )
            text = formats.join(words, text, protected)
        sentences.append(text)
    return sentences


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
                share=words.number(one["mean"], 3),
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
    bounds = {
        key: one
        for key, one in _of_metric(results, "epsilon_bound").items()
        if one["protection"] == "record_dp"
    }
    if not bounds:
        return []
    if any(attack_words.is_refuted(one) for one in bounds.values()):
        return [
            words.say(
                "Canaries refute a claimed epsilon: see the lower bounds. Private "
                "training doesn't keep what it claims."
            )
        ]
    could = {
        one["epsilon"]: attack_words.is_refutable(one, largest[key])
        for key, one in bounds.items()
    }
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
            epsilons=_list(
                (e for e, refutable in could.items() if not refutable), words
            ),
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
            found.append(attack_words.is_refuted(one))
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
