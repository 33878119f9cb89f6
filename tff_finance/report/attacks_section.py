"""What attackers got out of models and updates."""

import functools
from collections.abc import Sequence

import matplotlib.figure

from tff_finance.report import attack_words, formats, styles
from tff_finance.report.attack_results import Result, frame, grouped, value
from tff_finance.report.canary_table import canary_table
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture, Section, Study, Table
from tff_finance.report.interval_figure import Series, draw_intervals

_RATES = ("advantage", "tpr_at_fpr_1", "tpr_at_fpr_0_1")
_BEST = "lira"


def attacks_section(study: Study, words: Words) -> Section | None:
    """Attacks on models and updates; None if the run has none.

    Args:
        study: Of a record with attacks, or without.
        words: The page's language.

    Returns:
        The section.
    """
    attacks = study.summary.get("attacks")
    if not attacks:
        return None
    say = words.say
    return Section(
        anchor=f"{study.key}attacks",
        title=say("What attackers get out of models and updates"),
        paragraphs=[
            say(
                "Measured, not proven: an attack that fails shows nothing about a "
                "better one. What no attack can exceed is what differential privacy "
                "states."
            ),
            say(
                "Membership inference asks whether a row was trained on: an AUC of "
                "0.5 is a coin, and rates at few false positives show whether an "
                "attacker can be sure of some rows. Inversion rebuilds the rows behind "
                "an update that the server sees; with secure aggregation it sees "
                "sums only. Secure aggregation leaves the model as it is, and "
                "membership inference with it."
            ),
        ],
        pictures=[
            *_membership_pictures(study, attacks["membership"], words),
            *_inversion_pictures(study, attacks["inversion"], words),
        ],
        tables=[
            table
            for table in (
                _membership_table(study, attacks["membership"], words),
                _institution_table(study, attacks["membership"], words),
                _inversion_table(study, attacks["inversion"], words, sums=False),
                _inversion_table(study, attacks["inversion"], words, sums=True),
                canary_table(study, attacks["canary"], words),
            )
            if table.rows
        ],
        notes=[
            say(
                "Intervals are over seeds; of one seed, over rows or updates. Members "
                "and as many others are of one law, the others held out from every "
                "choice. An attack that knows nothing has an advantage of 0: no "
                "threshold is judged by the rows that chose it."
            ),
            say(
                "Recovered is a number within the tolerance and a category exactly. "
                "Without information rows are guessed in the best of three ways: means "
                "and the most frequent categories, random categories, random rows. How "
                "much more comes back is compared update by update. Updates are those "
                "of the first round; their model is the trained one, or one that an "
                "active server has prepared and sends instead. Hardly any noise "
                "protects nobody: an attack that doesn't come through it shows nothing "
                "of privacy."
            ),
            say(
                "A canary bound holds with 99.9 % confidence. Where it exceeds the "
                "claim, privacy is broken; where it doesn't, only defects as large as "
                "the stated one are ruled out, and nothing where so few runs can't "
                "refute the claim. The last claims are of training whose noise, or "
                "whose sampling, was left out, to show that the audit can find that."
            ),
            *attack_words.claims([one for of in attacks.values() for one in of], words),
        ],
    )


def _membership_pictures(
    study: Study, results: Sequence[Result], words: Words
) -> list[Picture]:
    shown = [
        one
        for one in results
        if not one["institution"] and one["metric"] == "auc" and one["method"] == _BEST
    ]
    if not shown:
        return []
    say = words.say
    return [
        Picture(
            name=f"{study.key}membership",
            title=say("Who was trained on? AUC of the attack LiRA, %"),
            alt=_alt(shown, ("target", "model"), words),
            draw=functools.partial(_draw, shown, ("target", "model"), axis="AUC, %"),
        )
    ]


def _inversion_pictures(
    study: Study, results: Sequence[Result], words: Words
) -> list[Picture]:
    say = words.say
    width = min((one["hidden_units"] for one in results), default=0)
    shown = [
        one
        for one in results
        if one["metric"] in {"features_recovered", "features_without_information"}
        and one["hidden_units"] == width
        and one["target"] == "gradient"
    ]
    single = [one for one in shown if one["institutions"] == 1]
    pictures = []
    for method in ("first_layer", "prepared_model", "gradient_matching"):
        of_method = [one for one in single if one["method"] == method]
        if of_method:
            title = say(
                "Features that come back from one bank's gradient, %%: %(method)s",
                method=attack_words.method(method, words),
            )
            pictures.append(
                Picture(
                    name=f"{study.key}inversion_{method}",
                    title=title,
                    alt=_alt(of_method, ("batch_size",), words),
                    draw=functools.partial(_draw, of_method, ("batch_size",), axis="%"),
                )
            )
    return pictures


def _alt(results: Sequence[Result], by: Sequence[str], words: Words) -> str:
    return words.say("; ").join(
        f"{attack_words.place(one, by, words)}, {attack_words.protection(one, words)}: "
        f"{formats.share(value(one), words)}"
        for one in results
    )


def _draw(
    results: Sequence[Result], by: Sequence[str], words: Words, *, axis: str
) -> matplotlib.figure.Figure:
    places = list(dict.fromkeys(attack_words.place(one, by, words) for one in results))
    protections = list(
        dict.fromkeys(attack_words.protection(one, words) for one in results)
    )
    series = []
    for number, protection in enumerate(protections):
        style = styles.series_style(number)
        found = {
            attack_words.place(one, by, words): value(one)
            for one in results
            if attack_words.protection(one, words) == protection
        }
        series.append(
            Series(
                label=protection,
                color=style.color,
                marker=style.marker,
                values=[found.get(place) for place in places],
            )
        )
    return draw_intervals(places, series, words, axis=axis)


def _membership_table(study: Study, results: Sequence[Result], words: Words) -> Table:
    say = words.say
    settings = ("target", "model", "protection", "epsilon", "method")
    pooled = grouped(settings, [one for one in results if not one["institution"]])
    rows = [
        [
            attack_words.place(one["auc"], ("target", "model"), words),
            attack_words.protection(one["auc"], words),
            attack_words.method(one["auc"]["method"], words),
            formats.plain(value(one["auc"]), words),
            formats.share(value(one["advantage"]), words),
            *[formats.share(value(one[rate]), words) for rate in _RATES[1:]],
        ]
        for one in pooled
    ]
    return Table(
        name=f"{study.key}membership",
        caption=say("Membership inference, rows of all banks"),
        header=[
            say("Model"),
            say("Protection"),
            say("Attack"),
            say("AUC"),
            say("Advantage"),
            say("Found at 1 % false positives"),
            say("Found at 0.1 % false positives"),
        ],
        rows=rows,
        frame=frame(results),
    )


def _institution_table(study: Study, results: Sequence[Result], words: Words) -> Table:
    """AUC by institution, of the strongest attack that was made."""
    say = words.say
    methods = {one["method"] for one in results}
    method = _BEST if _BEST in methods else "loss"
    of_banks = [
        one
        for one in results
        if one["institution"] and one["metric"] == "auc" and one["method"] == method
    ]
    banks = list(dict.fromkeys(one["institution"] for one in of_banks))
    settings = ("target", "model", "protection", "epsilon")
    rows = []
    for by_bank in grouped(settings, of_banks, name="institution"):
        first = next(iter(by_bank.values()))
        rows.append(
            [
                attack_words.place(first, ("target", "model"), words),
                attack_words.protection(first, words),
                *[formats.plain(value(by_bank[bank]), words) for bank in banks],
            ]
        )
    return Table(
        name=f"{study.key}membership_banks",
        caption=say(
            "AUC by bank, attack: %(method)s", method=attack_words.method(method, words)
        ),
        header=[say("Model"), say("Protection"), *banks],
        rows=rows,
        frame=frame(of_banks),
    )


def _inversion_table(
    study: Study, results: Sequence[Result], words: Words, *, sums: bool
) -> Table:
    say = words.say
    chosen = [one for one in results if (one["institutions"] > 1) == sums]
    settings = (
        "target",
        "protection",
        "epsilon",
        "hidden_units",
        "institutions",
        "batch_size",
        "method",
    )
    rows = []
    for one in grouped(settings, chosen):
        first = one["features_recovered"]
        rows.append(
            [
                attack_words.place(first, ("target",), words),
                words.number(first["institutions"])
                if sums
                else attack_words.protection(first, words),
                words.number(first["batch_size"]),
                words.number(first["hidden_units"]),
                attack_words.method(first["method"], words),
                formats.share(value(first), words),
                words.percent(one["features_without_information"]["mean"]),
                formats.points(value(one["features_gained"]), words),
                formats.share(value(one["records_recovered"]), words),
            ]
        )
    return Table(
        name=f"{study.key}{'sums' if sums else 'inversion'}",
        caption=say("Inversion of sums, as under secure aggregation")
        if sums
        else say("Inversion of one bank's update"),
        header=[
            say("Update"),
            say("Banks in the sum") if sums else say("Protection"),
            say("Rows of a bank"),
            say("Neurons of the first layer"),
            say("Attack"),
            say("Features recovered"),
            say("Without information"),
            say("More, percentage points"),
            say("Records recovered"),
        ],
        rows=rows,
        frame=frame(chosen),
    )
