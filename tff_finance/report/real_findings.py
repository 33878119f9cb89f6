"""The summary in plain language of a comparison on real tables."""

from collections.abc import Mapping
from typing import Any

from tff_finance.report import formats, labels
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Study

# With more institutions, gains are counted instead of listed.
_MOST_LISTED = 6
_DIGITS = 4


def data_finding(study: Study, words: Words) -> str:
    """Whose rows these are, and what seeds and intervals are about."""
    text = words.say(
        "The rows are those of: %(table)s. Seeds (%(seeds)s) draw the split, the "
        "initial model and the order of batches, and who holds which row where that "
        "is left to chance; they don't redraw rows. Intervals say how far other test "
        "rows would move a value; the spread over seeds stands beside them in "
        "summary.json.",
        table=study.summary["scenario"]["description"],
        seeds=words.number(len(study.summary["seeds"])),
    )
    meaning = words.say(
        "A row is positive where its label says: %(meaning)s.",
        meaning=study.summary["scenario"]["label_meaning"],
    )
    return formats.join(words, text, meaning)


def columns_finding(study: Study, words: Words) -> str:
    """Protected attributes among the features, and what was forbidden."""
    scenario = study.summary["scenario"]
    parts = []
    if names := scenario["protected_features"]:
        parts.append(
            words.say(
                "Protected attributes are among the features: %(names)s.",
                names=words.say(", ").join(names),
            )
        )
    forbidden = [
        name
        for columns in scenario["left_out"].values()
        for name in columns["forbidden"]
    ]
    if forbidden:
        parts.append(
            words.say(
                "Left out, since the contract forbids them: %(names)s.",
                names=words.say(", ").join(dict.fromkeys(forbidden)),
            )
        )
    return formats.join(words, *parts) if parts else ""


def market_finding(study: Study, words: Words) -> str:
    """AUC of every method on all institutions' rows."""
    cells = [
        f"{labels.method(method, words)} "
        + formats.plain(values["pooled"]["auc"], words, digits=_DIGITS)
        for method, values in study.summary["methods"].items()
    ]
    return words.say(
        "AUC on all banks' test rows: %(cells)s. For banks alone it is the mean over "
        "their models, each applied to all rows.",
        cells=words.say("; ").join(cells),
    )


def gain_finding(study: Study, words: Words) -> str:
    """What each institution gains on its own rows."""
    if study.federated is None or not study.summary["gain"]:
        return ""
    values = {
        bank: gains[study.federated]["auc"]
        for bank, gains in study.summary["gain"].items()
    }
    method = labels.algorithm(study.federated)
    if len(values) > _MOST_LISTED:
        return _counted(values, method, words)
    cells = [
        f"{bank} {formats.plain(value, words, digits=_DIGITS, sign=True)}"
        for bank, value in values.items()
    ]
    return words.say(
        "On its own rows, AUC by %(method)s minus that of a bank's own model: "
        "%(cells)s.",
        method=method,
        cells=words.say("; ").join(cells),
    )


def _counted(values: Mapping[str, Mapping[str, Any]], method: str, words: Words) -> str:
    shown = [v for v in values.values() if not formats.includes_zero(v)]
    gains = sum(value["mean"] > 0 for value in shown)
    no_interval = sum(value.get("ci95") is None for value in values.values())
    return words.say(
        "On its own rows, AUC by %(method)s against a bank's own model: of %(all)s "
        "banks, %(gains)s show a gain and %(losses)s a loss; for %(open)s the interval "
        "includes 0, and %(none)s have too few rows for an interval or for an AUC.",
        method=method,
        all=words.number(len(values)),
        gains=words.number(gains),
        losses=words.number(len(shown) - gains),
        open=words.number(len(values) - len(shown) - no_interval),
        none=words.number(no_interval),
    )


def distance_finding(study: Study, words: Words) -> str:
    """How far federated training is from pooling, at the far limit too."""
    differences = study.summary["to_centralized"]
    if study.federated is None or study.federated not in differences:
        return ""
    value = differences[study.federated]["auc"]
    text = words.say(
        "Against pooling all rows in one place, %(method)s differs by %(difference)s "
        "in AUC on all rows.",
        method=labels.algorithm(study.federated),
        difference=formats.plain(value, words, digits=_DIGITS, sign=True),
    )
    if value.get("ci95") is None:
        return text
    far = words.say(
        "At the far end of the interval the difference is %(far)s.",
        far=words.number(max(map(abs, value["ci95"])), _DIGITS),
    )
    return formats.join(words, text, far)
