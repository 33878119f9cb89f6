"""What each method protects, against whom, under which assumptions; and what not."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tff_finance.records.privacy_row import PER_ROW_NOT_CUSTOMER
from tff_finance.report import formats, labels
from tff_finance.report.catalogue import Words, mark
from tff_finance.report.content import Section, Study, Table

_UNITS = {
    "record": mark("one row of a bank"),
    "customer": mark("one customer of a bank, with all rows"),
    "branch": mark("one branch of a bank, with its rows; not the bank"),
    "institution": mark("one bank, with all rows"),
}
_ROW_NOT_CUSTOMER = mark("one row (transaction) of a bank, not one customer")
_RELATIONS = {
    "add_or_remove_one": mark("whether it is there (add or remove one)"),
    "replace_one": mark("which of two it is (replace one)"),
    "replace_special": mark("whether it counts (replace by nothing)"),
}
_ADVERSARIES = {
    "server": mark("the server"),
    "institutions": mark("the other banks"),
    "outsiders": mark("whoever gets the model"),
}
_ACCOUNTANTS = {
    "pld": mark("privacy loss distributions"),
    "rdp": mark("Rényi"),
    "pld, rdp": mark("privacy loss distributions or Rényi, whichever is tighter"),
}
_ACROSS = {
    "record": mark(
        "For somebody with one row at each of the %(number)s banks epsilon is at most "
        "%(epsilon)s, with delta %(delta)s (accountant: %(accountant)s): what the "
        "banks release adds up."
    ),
    "customer": mark(
        "For a customer of all %(number)s banks epsilon is at most %(epsilon)s, with "
        "delta %(delta)s (accountant: %(accountant)s): what the banks release adds up."
    ),
}
# Who sees what of methods that promise nothing.
_EXPOSURES = {
    "fed_avg_secure": mark(
        "sums of updates, without noise; each bank's training loss and number of rows, "
        "in the clear, to the server; the model to all banks"
    ),
    "local": mark("no update leaves the bank; its model is its own"),
    "pooled": mark("all rows, in the clear, to whoever pools them"),
    "fed_per": mark(
        "every round's update of the shared layers, in the clear, to the server; these "
        "layers to all banks"
    ),
    "fed_md": mark(
        "every round's predictions of each bank on synthetic rows, in the clear, to "
        "the server"
    ),
    "federated": mark(
        "every round's update of each bank, in the clear, to the server; the model to "
        "all banks"
    ),
}
_SECURE = "fed_avg_secure"
_TO_CUSTOMERS = {
    "branch": mark(
        "A guarantee for branches says nothing to a customer beyond what holds for the "
        "whole branch, and nothing of a bank."
    ),
    "institution": mark(
        "A guarantee for banks says nothing to a customer beyond what holds for the "
        "whole bank."
    ),
}
_POOLED = ("centralized", "gradient_boosting")
# Above it, the factor on probabilities says nothing.
_LARGEST_FACTOR = 1e6


def privacy_section(study: Study, words: Words) -> Section:
    """What is promised, by whom to whom; a method without protection says so."""
    say = words.say
    promised = _promised(study)
    tables = [_methods_table(study, words)]
    if promised:
        tables.append(_institutions_table(study, words))
        tables.append(_not_covered_table(study, words))
    return Section(
        anchor=f"{study.key}privacy",
        title=say("Privacy: what is protected, against whom, and what is not"),
        paragraphs=[
            say(
                "Rows that stay at a bank are not thereby secret: what is computed "
                "from them can tell about them. A privacy guarantee bounds by how "
                "much, whatever else an attacker knows: epsilon and delta, for a "
                "stated unit. A method without one promises nothing."
            ),
            *[_in_words(study, method, words) for method in promised],
        ],
        tables=tables,
        notes=_assumptions(study, words),
    )


def _promised(study: Study) -> dict[str, Mapping[str, Any]]:
    """What summaries say of methods that promise something."""
    methods = study.summary["methods"]
    return {m: methods[m]["privacy"] for m in study.methods if methods[m]["privacy"]}


def _in_words(study: Study, method: str, words: Words) -> str:
    """What a person without mathematics can check a claim by."""
    privacy = study.summary["methods"][method]["privacy"]
    told = words.say(
        "%(method)s: epsilon is at most %(epsilon)s for %(unit)s, with delta "
        "%(delta)s.",
        method=labels.method(method, words),
        epsilon=words.number(privacy["epsilon"], 2),
        unit=_protected(privacy, words),
        delta=formats.small(privacy["delta"]),
    )
    factor = math.exp(min(privacy["epsilon"], 100.0))
    if factor > _LARGEST_FACTOR:
        bound = words.say("So large an epsilon is hardly a bound.")
    else:
        bound = words.say(
            "Nothing that an attacker may see becomes more than %(factor)s times as "
            "likely, or as unlikely, by it, but for that small probability.",
            factor=words.number(factor, 1 if factor < 10 else 0),  # noqa: PLR2004
        )
    return formats.join(words, told, bound, *_across(privacy, words))


def _across(privacy: Mapping[str, Any], words: Words) -> list[str]:
    """What holds for somebody at all banks, if that is known."""
    across = privacy.get("across_institutions")
    if not across:
        return []
    sentence = _ACROSS[privacy["unit"]]
    return [
        words.say(
            sentence,
            number=words.number(len(privacy["institutions"]), 0),
            epsilon=words.number(across["epsilon"], 2),
            delta=formats.small(across["delta"]),
            accountant=_known(_ACCOUNTANTS, across["accountant"], words),
        )
    ]


def _assumptions(study: Study, words: Words) -> list[str]:
    notes = _general_assumptions(words) if _promised(study) else []
    notes += [
        words.say(
            "%(method)s: at least %(number)s of the others in a round must be honest "
            "and send their share of the noise.",
            method=labels.method(method, words),
            number=_number(values["least_honest"], 0, words),
        )
        for method, privacy in _promised(study).items()
        for values in privacy["institutions"].values()
        if values.get("least_honest") is not None
    ]
    notes += _customers(study, words)
    units = {privacy["unit"] for privacy in _promised(study).values()}
    notes += [words.say(_TO_CUSTOMERS[u]) for u in _TO_CUSTOMERS if u in units]
    if _SECURE in study.methods:
        notes.append(
            words.say(
                "%(method)s assumes a protocol of secure sums between the banks, which "
                "was simulated in the clear, and that not all banks but one work "
                "together. What the sum tells, it tells.",
                method=labels.method(_SECURE, words),
            )
        )
    return notes


def _general_assumptions(words: Words) -> list[str]:
    return [
        words.say(
            "Assumed: the number of units of each bank is public; who adds the noise "
            "(the bank's own computer where it protects against the server, the server "
            "elsewhere) keeps batches and noise secret; running times are not looked "
            "at; the bound is on what one method releases under one seed."
        ),
        words.say(
            "A bank's guarantee is for those who are at that bank alone: what several "
            "banks release about the same person adds up."
        ),
        words.say(
            "Epsilons of different units or relations have no common scale. Shown are "
            "the largest over seeds; among methods, the largest over banks as well."
        ),
    ]


def _customers(study: Study, words: Words) -> list[str]:
    """What customers should know where rows are theirs."""
    notes = []
    for method, privacy in _promised(study).items():
        name = labels.method(method, words)
        if privacy.get("unit_in_words") == PER_ROW_NOT_CUSTOMER:
            notes.append(
                words.say(
                    "%(method)s: the guarantee is per row (transaction), not per "
                    "customer; it says less about a customer with several rows.",
                    method=name,
                )
            )
        most = {values.get("most_rows") for values in privacy["institutions"].values()}
        for number in most - {None}:
            notes.append(
                words.say(
                    "%(method)s: a customer's rows are clipped as one sum; of each "
                    "customer at most %(number)s rows are trained on, drawn at random.",
                    method=name,
                    number=words.number(number, 0),
                )
            )
    return notes


def _exposure(method: str, words: Words) -> str:
    if method in _EXPOSURES:
        return _known(_EXPOSURES, method, words)
    return _known(_EXPOSURES, "pooled" if method in _POOLED else "federated", words)


def _without_epsilon(method: str, words: Words) -> list[str]:
    """What is protected, and against whom, by a method that bounds nothing."""
    if method == _SECURE:
        return [
            words.say("one bank's update, as far as a sum hides it"),
            _listed(["server"], words),
        ]
    return [words.say("nothing is promised"), words.say("nobody")]


def _methods_table(study: Study, words: Words) -> Table:
    say = words.say
    rows, frames = [], []
    for method in study.methods:
        privacy = study.summary["methods"][method]["privacy"]
        frames.append({"method": method, **_flat(privacy)})
        if not privacy:
            rows.append(
                [
                    labels.method(method, words),
                    *_without_epsilon(method, words),
                    *[say("no bound"), "", "", ""],
                    _exposure(method, words),
                ]
            )
            continue
        rows.append(
            [
                labels.method(method, words),
                _protected(privacy, words),
                _listed(privacy["against"], words),
                words.number(privacy["epsilon"], 2),
                formats.small(privacy["delta"]),
                _known(_RELATIONS, privacy["neighbouring"], words),
                _known(_ACCOUNTANTS, privacy["accountant"], words),
                _left_open(privacy, words),
            ]
        )
    return Table(
        name=f"{study.key}privacy",
        caption=say("What each method promises"),
        header=[
            say("Method"),
            say("Protected"),
            say("Against"),
            say("Epsilon"),
            say("Delta"),
            say("What is hidden"),
            say("Accountant"),
            say("Open to"),
        ],
        rows=rows,
        frame=pd.DataFrame(frames),
    )


def _protected(privacy: Mapping[str, Any], words: Words) -> str:
    """Whom it is for."""
    if privacy.get("unit_in_words") == PER_ROW_NOT_CUSTOMER:
        return words.say(_ROW_NOT_CUSTOMER)
    return _known(_UNITS, privacy["unit"], words)


def _flat(privacy: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a CSV file holds: no nested values."""
    if not privacy:
        return {}
    nested = ("institutions", "not_covered", "against", "across_institutions")
    flat = {name: value for name, value in privacy.items() if name not in nested}
    across = privacy.get("across_institutions") or {}
    return (
        flat
        | {"against": ", ".join(privacy["against"])}
        | {f"across_{name}": value for name, value in across.items()}
    )


def _left_open(privacy: Mapping[str, Any], words: Words) -> str:
    """Those whom it doesn't protect from."""
    others = [name for name in _ADVERSARIES if name not in privacy["against"]]
    if not others:
        return words.say("the bank itself")
    return _listed(others, words)


def _listed(adversaries: Sequence[str], words: Words) -> str:
    return words.say("; ").join(_known(_ADVERSARIES, a, words) for a in adversaries)


def _known(names: Mapping[str, str], name: str, words: Words) -> str:
    return words.say(names.get(name, name))


def _institutions_table(study: Study, words: Words) -> Table:
    say = words.say
    rows, frames = [], []
    for method, privacy in _promised(study).items():
        for name, values in privacy["institutions"].items():
            frames.append({"method": method, "institution": name, **values})
            rows.append(
                [
                    labels.method(method, words),
                    say("all banks together") if name == "consortium" else name,
                    _number(values["population"], 0, words),
                    words.number(values["epsilon"], 2),
                    formats.small(values["delta"]),
                    _number(values["noise_multiplier"], 2, words),
                    _number(values["l2_clip_norm"], 2, words),
                    _number(values["sampling_probability"], 3, words),
                    _number(values["steps"], 0, words),
                ]
            )
    return Table(
        name=f"{study.key}privacy_by_bank",
        caption=say("Guarantees by bank, and what they rest on"),
        header=[
            say("Method"),
            say("Bank"),
            say("Units"),
            say("Epsilon"),
            say("Delta"),
            say("Noise over clipping norm"),
            say("Clipping norm"),
            say("Share sampled in a step"),
            say("Noised sums"),
        ],
        rows=rows,
        frame=pd.DataFrame(frames),
    )


def _number(value: Any, digits: int, words: Words) -> str:
    """A setting; its range if seeds differ in it."""
    if value is None:
        return words.say("adapts")
    if isinstance(value, list):
        known = [v for v in value if v is not None]
        ends = [words.number(end, digits) for end in (min(known), max(known))]
        return words.span(*ends) if ends[0] != ends[1] else ends[0]
    return words.number(value, digits)


def _not_covered_table(study: Study, words: Words) -> Table:
    say = words.say
    found = [
        (method, *line.partition(": ")[::2])
        for method, privacy in _promised(study).items()
        for line in privacy["not_covered"]
    ]
    return Table(
        name=f"{study.key}privacy_not_covered",
        caption=say("What these guarantees don't cover"),
        header=[say("Method"), say("Stage"), say("Not protected")],
        rows=[
            [
                labels.method(method, words),
                labels.stage(stage, words),
                labels.remark(what, words),
            ]
            for method, stage, what in found
        ],
        frame=pd.DataFrame(
            [
                {"method": method, "stage": stage, "not_covered": what}
                for method, stage, what in found
            ]
        ),
    )
