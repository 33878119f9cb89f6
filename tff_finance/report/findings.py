"""The summary in plain language: says what the numbers show and no more."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tff_finance.records.privacy_row import PER_ROW_NOT_CUSTOMER
from tff_finance.report import formats, labels, real_findings
from tff_finance.report.attack_findings import attack_findings
from tff_finance.report.catalogue import Words, mark
from tff_finance.report.content import Study
from tff_finance.report.contribution_section import contribution_finding

# With more banks, gains are counted instead of listed.
_MOST_BANKS = 6
_LEVELS = {
    "record": mark("record"),
    "customer": mark("customer"),
    "branch": mark("branch"),
    "institution": mark("institution"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    """A number to see at first sight, with its interval and what it is."""

    label: str
    value: str
    interval: str


def tiles(study: Study, words: Words) -> list[Tile]:
    """Alone at home, alone on the whole market, together on the whole market."""
    if study.is_of_real_tables:
        return _market_tiles(study, words)
    say = words.say
    wanted = [
        ("local", "own_mean", say("A bank alone, on its own customers")),
        ("local", "pooled", say("A bank alone, on the whole market")),
    ]
    if study.federated is not None:
        wanted.append((study.federated, "pooled", say("Together, on the whole market")))
    found = []
    for method, part, label in wanted:
        value = study.summary["methods"].get(method, {}).get(part, {}).get("accuracy")
        if value is not None and value["mean"] is not None:
            found.append(
                Tile(
                    label=label,
                    value=words.percent(value["mean"]),
                    interval=_interval(value, words),
                )
            )
    return found


def tiles_note(study: Study, words: Words) -> str:
    """What the tiles' numbers are."""
    if study.is_of_real_tables:
        return words.say(
            "AUC: probability that a positive row scores higher than a negative one."
        )
    return words.say(
        "Accuracy: share of test customers sorted correctly into default or not."
    )


def findings(study: Study, words: Words) -> list[str]:
    """Sentences on population, headline, gains, distance to pooling, traffic."""
    if "attacks" in study.summary and not study.methods:
        synthetic = "banks" in study.summary["scenario"]
        population = [_population(study, words)] if synthetic else []
        return population + attack_findings(study, words)
    of_study = (_population, _alone, _together, _gains, _to_pooled)
    if study.is_of_real_tables:
        of_study = (
            real_findings.data_finding,
            real_findings.columns_finding,
            real_findings.market_finding,
            real_findings.gain_finding,
            real_findings.distance_finding,
        )
    sentences = []
    for part in (
        *of_study,
        contribution_finding,
        _unfinished,
        _left_out,
        _traffic,
        _privacy,
    ):
        text = part(study, words)
        if text:
            sentences.append(text)
    return sentences


def _market_tiles(study: Study, words: Words) -> list[Tile]:
    """AUC on the whole market of banks alone, together, and pooled."""
    wanted = [
        ("local", words.say("AUC, a bank's own model on all rows")),
        (study.federated, words.say("AUC, together, on all rows")),
        ("centralized", words.say("AUC, rows pooled, on all rows")),
    ]
    found = []
    for method, label in wanted:
        value = study.summary["methods"].get(method, {}).get("pooled", {}).get("auc")
        if value is not None and value["mean"] is not None:
            interval = words.say(
                "no interval: %(reason)s",
                reason=labels.remark(value.get("reason", ""), words),
            )
            if value.get("ci95") is not None:
                limits = [words.number(limit, 3) for limit in value["ci95"]]
                interval = words.say(
                    "95 %% interval %(interval)s",
                    interval=words.span(*limits).replace(" ", "\N{NO-BREAK SPACE}"),
                )
            found.append(
                Tile(
                    label=label, value=words.number(value["mean"], 3), interval=interval
                )
            )
    return found


def _population(study: Study, words: Words) -> str:
    seeds = len(study.summary["seeds"])
    if seeds == 1:
        return words.say(
            "The customers are synthetic: a population of our own making, drawn once. "
            "Nothing here says anything about a real bank's customers."
        )
    return words.say(
        "The customers are synthetic: a population of our own making, redrawn for each "
        "of %(seeds)s seeds. Nothing here says anything about a real bank's customers.",
        seeds=words.number(seeds),
    )


def _alone(study: Study, words: Words) -> str:
    if "local" not in study.methods:
        return ""
    method = study.summary["methods"]["local"]
    values = {
        name: formats.share(method[part]["accuracy"], words)
        for name, part in (
            ("own", "own_mean"),
            ("others", "others_mean"),
            ("all", "pooled"),
        )
    }
    return words.say(
        "Alone: a bank's own model is right about %(own)s of its own customers and "
        "about %(others)s of the other banks' customers. The %(all)s on the whole "
        "market are a bank's model applied to all banks' customers, of whom on average "
        "only %(share)s are its own; they don't say how well a bank judges the "
        "customers it has.",
        # The mean of the banks' parts in all test rows, whatever their sizes.
        share=words.percent(1 / len(study.banks), 0),
        **values,
    )


def _together(study: Study, words: Words) -> str:
    if study.federated is None:
        return ""
    together = study.summary["methods"][study.federated]["pooled"]["accuracy"]
    text = words.say(
        "Together, by %(method)s: one model for all banks is right about %(all)s of "
        "the whole market.",
        method=labels.algorithm(study.federated),
        all=formats.share(together, words),
    )
    if "local" not in study.methods:
        return text
    alone = study.summary["methods"]["local"]["pooled"]["accuracy"]
    return formats.join(words, text, _compare(together, alone, words))


def _compare(
    together: Mapping[str, Any], alone: Mapping[str, Any], words: Words
) -> str:
    say = words.say
    if together.get("ci95") is None or alone.get("ci95") is None:
        return say(
            "Without intervals it stays open whether that differs from the banks alone."
        )
    if together["ci95"][0] > alone["ci95"][1]:
        return say("Its interval lies above that of the banks alone.")
    if together["ci95"][1] < alone["ci95"][0]:
        return say("Its interval lies below that of the banks alone.")
    return say(
        "Its interval overlaps that of the banks alone, so this comparison doesn't "
        "settle which is better on the whole market."
    )


def _gains(study: Study, words: Words) -> str:
    if study.federated is None or "local" not in study.methods:
        return ""
    values = {
        bank: gains[study.federated]["accuracy"]
        for bank, gains in study.summary["gain"].items()
    }
    method = labels.algorithm(study.federated)
    if len(values) > _MOST_BANKS:
        return _count_gains(values, method, words)
    parts = [_gain(bank, value, words) for bank, value in values.items()]
    text = words.say(
        "On its own customers, what %(method)s brings a bank against the model it "
        "trains alone, in percentage points of accuracy: %(parts)s.",
        method=method,
        parts=words.say("; ").join(parts),
    )
    return formats.join(words, text, _at_once(list(values.values()), words))


def _at_once(values: Sequence[Mapping[str, Any]], words: Words) -> str:
    """How many of these gains stand when all of the table are read together."""
    together = formats.together(values)
    if not together:
        return ""
    return words.say(
        "With intervals that hold for all %(size)s gains of the table at once, "
        "%(shown)s of these %(number)s exclude 0.",
        size=words.number(together[0]["size"]),
        shown=words.number(formats.excluding_zero(together)),
        number=words.number(len(values)),
    )


def _gain(bank: str, value: Mapping[str, Any], words: Words) -> str:
    say = words.say
    mean = value["mean"]
    if mean is None or value["ci95"] is None:
        return say(
            "%(bank)s %(points)s, without interval (%(reason)s)",
            bank=bank,
            points=formats.undefined(words)
            if mean is None
            else words.number(100 * mean, 1, sign=True),
            reason=labels.remark(value["reason"], words),
        )
    points = formats.points(value, words)
    if formats.includes_zero(value):
        return say(
            "%(bank)s %(points)s, which includes 0: neither gain nor loss is shown",
            bank=bank,
            points=points,
        )
    if value["mean"] > 0:
        return say("%(bank)s gains, %(points)s", bank=bank, points=points)
    return say("%(bank)s loses, %(points)s", bank=bank, points=points)


def _count_gains(
    values: Mapping[str, Mapping[str, Any]], method: str, words: Words
) -> str:
    shown = [v for v in values.values() if not formats.includes_zero(v)]
    gains = sum(value["mean"] > 0 for value in shown)
    text = words.say(
        "On its own customers, %(method)s against its own model: of %(all)s banks, "
        "%(gains)s show a gain, %(losses)s show a loss, and for %(open)s the interval "
        "includes 0 or does not exist.",
        method=method,
        all=words.number(len(values)),
        gains=words.number(gains),
        losses=words.number(len(shown) - gains),
        open=words.number(len(values) - len(shown)),
    )
    return formats.join(words, text, _at_once(list(values.values()), words))


def _to_pooled(study: Study, words: Words) -> str:
    say = words.say
    differences = study.summary["to_centralized"]
    if study.federated is None or study.federated not in differences:
        return ""
    value = differences[study.federated]["accuracy"]
    text = say(
        "Against pooling all rows in one place, %(method)s differs by %(points)s "
        "percentage points on the whole market.",
        method=labels.algorithm(study.federated),
        points=formats.points(value, words),
    )
    if value.get("ci95") is None:
        return text
    if formats.includes_zero(value):
        zero = say("The interval includes 0: these runs don't show a difference.")
        text = formats.join(words, text, zero)
    far = say(
        "At the far end of the interval the difference is %(far)s points.",
        far=words.number(100 * max(abs(limit) for limit in value["ci95"]), 1),
    )
    return formats.join(words, text, far)


def _unfinished(study: Study, words: Words) -> str:
    """Which methods were stopped while they still improved."""
    parts = []
    for method in study.methods:
        effort = study.summary["methods"][method]
        # Boosting has no other end than its number of trees.
        if effort["runs_stopped_at_maximum"] and method != "gradient_boosting":
            parts.append(
                words.say(
                    "%(method)s in %(stopped)s of %(runs)s runs",
                    method=labels.method(method, words),
                    stopped=words.number(effort["runs_stopped_at_maximum"]),
                    runs=words.number(effort["runs"]),
                )
            )
    if not parts:
        return ""
    return words.say(
        "Training ended at the most rounds allowed, before validation said to stop: "
        "%(parts)s. With more rounds these numbers could be others.",
        parts=words.say("; ").join(parts),
    )


def _left_out(study: Study, words: Words) -> str:
    """Updates that were lost, which no accuracy shows."""
    lost = sum(m["non_finite_updates"] for m in study.summary["methods"].values())
    if not lost:
        return ""
    return words.say(
        "%(number)s updates of banks were not finite numbers and were left out of "
        "their rounds.",
        number=words.number(lost),
    )


def _traffic(study: Study, words: Words) -> str:
    if study.federated is None:
        return ""
    traffic = study.summary["methods"][study.federated]["communication"]
    text = words.say(
        "%(method)s moved %(size)s between the banks and the server (rounds: "
        "%(rounds)s), and %(validation)s more for validation; means over seeds.",
        method=labels.algorithm(study.federated),
        size=words.size(traffic["bytes_down"] + traffic["bytes_up"]),
        rounds=words.number(traffic["rounds"]),
        validation=words.size(
            traffic["validation_bytes_down"] + traffic["validation_bytes_up"]
        ),
    )
    if "centralized" not in study.methods:
        return text
    pooled = study.summary["methods"]["centralized"]["communication"]
    pooling = words.say(
        "Pooling would move the rows themselves, %(size)s, once.",
        size=words.size(pooled["bytes_up"]),
    )
    return formats.join(words, text, pooling)


def _privacy(study: Study, words: Words) -> str:
    methods = study.summary["methods"]
    promised = {
        m: methods[m]["privacy"] for m in study.methods if methods[m]["privacy"]
    }
    if promised:
        return formats.join(
            words,
            *[_promise(method, privacy, words) for method, privacy in promised.items()],
            words.say("Methods not named here promise no privacy."),
        )
    if "fed_avg_secure" in study.methods:
        return words.say(
            "No method promises privacy: rows stay at the banks, but sums of updates "
            "(%(secure)s) and updates (all others) may tell about customers.",
            secure=labels.method("fed_avg_secure", words),
        )
    return words.say(
        "No privacy mechanism was at work: rows stay at the banks, but updates are in "
        "the clear and may tell about customers."
    )


def _promise(method: str, privacy: Mapping[str, Any], words: Words) -> str:
    level = _LEVELS[privacy["unit"]]
    told = words.say(
        "%(method)s keeps epsilon at %(epsilon)s at most (%(unit)s level, delta "
        "%(delta)s).",
        method=labels.method(method, words),
        epsilon=words.number(privacy["epsilon"], 2),
        unit=words.say(level),
        delta=formats.small(privacy["delta"]),
    )
    if privacy.get("unit_in_words") != PER_ROW_NOT_CUSTOMER:
        return told
    return formats.join(
        words, told, words.say("That is per row (transaction), not per customer.")
    )


def _interval(value: Mapping[str, Any], words: Words) -> str:
    if value["ci95"] is None:
        return words.say(
            "no interval: %(reason)s", reason=labels.remark(value["reason"], words)
        )
    low, high = value["ci95"]
    return words.say(
        "95 %% interval %(interval)s",
        interval=words.span(
            words.number(100 * low, 1), words.number(100 * high, 1)
        ).replace(" ", "\N{NO-BREAK SPACE}"),
    )
