"""Names of attacks, of what they attack, and of what protects it."""

from collections.abc import Sequence

from tff_finance.report import formats
from tff_finance.report.attack_results import Result
from tff_finance.report.catalogue import Words, mark

_METHODS = {
    "loss": mark("loss"),
    "entropy": mark("entropy"),
    "lira": mark("LiRA, shadow models"),
    "first_layer": mark("closed form, first layer"),
    "prepared_model": mark("model prepared by the server"),
    "gradient_matching": mark("gradient matching"),
    "gradient": mark("gradient of the canary"),
}
_TARGETS = {
    "standard": mark("standard training"),
    "overfitted": mark("overfitted training"),
    "gradient": mark("gradient"),
    "local_epochs": mark("delta of local epochs"),
}
_UNPROMISED = {
    "none": mark("no protection"),
    "secure_sum": mark("secure aggregation"),
    "little_noise": mark("hardly any noise"),
}
_PROMISED = {
    "record_dp": mark("record-level privacy, epsilon %(epsilon)s"),
    "missing_noise": mark("noise left out, epsilon %(epsilon)s claimed"),
    "missing_sampling": mark("sampling left out, epsilon %(epsilon)s claimed"),
}
_UNITS = {"record": mark("one row of a bank")}
_RELATIONS = {"add_or_remove_one": mark("whether it is there (add or remove one)")}
_ACCOUNTANTS = {"pld": mark("privacy loss distributions"), "rdp": mark("Rényi")}
_MODELS = {"global": mark("global"), "alone": mark("each bank's own")}


def method(name: str, words: Words) -> str:
    """How is attacked."""
    return words.say(_METHODS.get(name, name))


def place(result: Result, by: Sequence[str], words: Words) -> str:
    """What is attacked, as far as `by` tells results apart."""
    parts = []
    for setting in by:
        if setting == "batch_size":
            rows = words.number(result["batch_size"])
            parts.append(words.say("rows: %(rows)s", rows=rows))
        else:
            known = _TARGETS if setting == "target" else _MODELS
            parts.append(
                words.say(known.get(str(result[setting]), str(result[setting])))
            )
    return words.say(", ").join(parts)


def protection(result: Result, words: Words) -> str:
    """What protects, with its epsilon; what knowing nothing gives is named so."""
    name = str(result["protection"])
    if result["metric"] == "features_without_information":
        return words.say("no information")
    if name in _PROMISED:
        return words.say(_PROMISED[name], epsilon=f"{result['epsilon']:g}")
    return words.say(_UNPROMISED.get(name, name))


def claims(results: Sequence[Result], words: Words) -> list[str]:
    """What stands behind the epsilons, a sentence for each kind of claim."""
    kinds = dict.fromkeys(
        (one["unit"], one["neighbouring"], one["delta"], one["accountant"])
        for one in results
        if one.get("delta") is not None
    )
    return [
        words.say(
            "Epsilon is for %(unit)s: %(relation)s; delta %(delta)s; accountant: "
            "%(accountant)s.",
            unit=words.say(_UNITS.get(str(unit), str(unit))),
            relation=words.say(_RELATIONS.get(str(relation), str(relation))),
            delta=formats.small(delta),
            accountant=words.say(_ACCOUNTANTS.get(str(accountant), str(accountant))),
        )
        for unit, relation, delta, accountant in kinds
    ]
