"""Audits by canaries as a table."""

from collections.abc import Mapping, Sequence

from tff_finance.report import attack_words, formats
from tff_finance.report.attack_results import (
    Result,
    frame,
    grouped,
    is_refutable,
    is_refuted,
)
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Study, Table


def canary_table(study: Study, results: Sequence[Result], words: Words) -> Table:
    """Claims, what was proven of them, and what could have been.

    Args:
        study: Of a record with attacks.
        results: Of canaries.
        words: The language.

    Returns:
        A row for each claim and attack; none if there were no audits.
    """
    say = words.say
    rows = []
    for one in grouped(("protection", "epsilon", "batch_size", "method"), results):
        bound = one["epsilon_bound"]
        found = [value for value in bound["values"] if value is not None]
        rows.append(
            [
                attack_words.protection(bound, words),
                _percent(one.get("sampling_probability"), words),
                attack_words.method(bound["method"], words),
                words.number(bound["epsilon"], 2),
                words.number(max(found), 2),
                words.number(one["largest_bound"]["mean"], 2),
                _percent(one.get("refutable_noise_share"), words),
                _verdict(one, words),
            ]
        )
    return Table(
        name=f"{study.key}canaries",
        caption=say("Lower bounds on epsilon by canaries, the largest of all seeds"),
        header=[
            say("Protection"),
            say("Share of the rows in a step"),
            say("Attack"),
            say("Claimed epsilon"),
            say("Epsilon is at least"),
            say("Largest that the runs could show"),
            say("Noise that would be refuted, of what is needed, at most"),
            say("Verdict"),
        ],
        rows=rows,
        frame=frame(results),
    )


def _percent(result: Result | None, words: Words) -> str:
    if result is None or result["mean"] is None:
        return formats.undefined(words)
    return words.percent(result["mean"])


def _verdict(one: Mapping[str, Result], words: Words) -> str:
    bound, share = one["epsilon_bound"], one.get("refutable_noise_share")
    if is_refuted(bound):
        return words.say("exceeds the claim")
    if not is_refutable(bound, one["largest_bound"], share):
        return words.say("so few runs can't refute it")
    return words.say("not refuted")
