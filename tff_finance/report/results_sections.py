"""The headline, and what each bank gains on its own customers."""

import functools
from collections.abc import Mapping
from typing import Any

import matplotlib.figure
import pandas as pd

from tff_finance.report import formats, labels, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture, Section, Study, Table
from tff_finance.report.interval_figure import Series, draw_intervals

_METRIC = "accuracy"
# Marker, filled, colour of own, other banks' and all customers.
_LOOKS = (("s", True, "#0b5a8a"), ("^", False, "#8a5a00"), ("o", True, "#1f2933"))


def headline_section(study: Study, words: Words) -> Section:
    """Accuracy of every method on own, other banks' and all customers."""
    say = words.say
    table = _headline_table(study, words)
    return Section(
        anchor=f"{study.key}headline",
        title=say("The headline: who is right about whom"),
        paragraphs=[
            say(
                "Accuracy is the share of test customers whom a model sorts correctly "
                "into those who default and those who don't. It depends on whose "
                "customers are asked about: the bank's own, the other banks', or the "
                "whole market."
            )
        ],
        pictures=[headline_picture(study, words)],
        tables=[table],
        notes=[
            say(
                "Mean over seeds with 95 % interval. Own and other banks' customers: "
                "mean over the banks. For banks that train alone, the whole market is "
                "the mean over their models, each applied to all banks' customers. A "
                "model that all banks share is one and the same for everybody."
            )
        ],
    )


def headline_picture(study: Study, words: Words) -> Picture:
    """The picture of the headline."""
    rows = _headline_table(study, words).rows
    cells = words.say("; ").join(
        words.say(
            "%(method)s: own %(own)s, other banks' %(others)s, whole market %(all)s",
            method=row[0],
            own=row[1],
            others=row[2],
            all=row[3],
        )
        for row in rows
    )
    return Picture(
        name=f"{study.key}headline",
        title=words.say("Accuracy on test customers, %"),
        alt=words.say("Accuracy with 95 %% intervals. %(cells)s.", cells=cells),
        draw=functools.partial(_draw_headline, study),
    )


def _draw_headline(study: Study, words: Words) -> matplotlib.figure.Figure:
    methods = study.methods
    series = [
        Series(
            label=labels.scope(scope, words),
            color=color,
            marker=marker,
            filled=filled,
            values=[study.summary["methods"][m][part][_METRIC] for m in methods],
        )
        for (part, scope), (marker, filled, color) in zip(
            labels.PARTS, _LOOKS, strict=True
        )
    ]
    return draw_intervals(
        [labels.method(method, words) for method in methods],
        series,
        words,
        axis=words.say("Accuracy, %"),
        numbers=True,
    )


def gain_section(study: Study, words: Words) -> Section | None:
    """Each bank's gain on its own customers; None with nothing to compare."""
    if not any(study.summary["gain"].values()):
        return None
    say = words.say
    table = _gain_table(study, words)
    alt = say("; ").join(f"{row[0]}, {row[1]}: {row[2]}" for row in table.rows)
    picture = Picture(
        name=f"{study.key}gain",
        title=say("Gain on own customers, percentage points"),
        alt=say(
            "Gain in percentage points with 95 %% intervals. %(cells)s.", cells=alt
        ),
        draw=functools.partial(_draw_gain, study),
    )
    return Section(
        anchor=f"{study.key}gain",
        title=say("What each bank gains on its own customers"),
        paragraphs=[
            say(
                "The accuracy of each method on a bank's own customers, minus that of "
                "the model the bank trains alone, compared under the same seed. Right "
                "of the line the bank gains, left of it it loses. A hollow marker says "
                "that the interval includes 0, or that there is none: these runs show "
                "neither gain nor loss."
            )
        ],
        pictures=[picture],
        tables=[table],
        notes=_gain_notes(study, words),
    )


def _gain_notes(study: Study, words: Words) -> list[str]:
    """How many intervals there are, and what holds for all of them together."""
    say = words.say
    values = [
        metrics[_METRIC]
        for gains in study.summary["gain"].values()
        for metrics in gains.values()
    ]
    together = formats.together(values)
    if not together:
        return []
    return [
        say(
            "Each gain has its own 95 %% interval, right for a bank that asked about "
            "one method beforehand: of twenty such intervals around no difference at "
            "all, one is expected to exclude 0. Intervals that hold for all %(size)s "
            "gains at once are wider; of these, %(shown)s exclude 0.",
            size=words.number(together[0]["size"]),
            shown=words.number(formats.excluding_zero(together)),
        )
    ]


def _draw_gain(study: Study, words: Words) -> matplotlib.figure.Figure:
    gain = study.summary["gain"]
    series = []
    for method in study.methods:
        if method == "local":
            continue
        style = styles.method_style(method, study.methods)
        series.append(
            Series(
                label=labels.method(method, words),
                color=style.color,
                marker=style.marker,
                values=[gain[bank][method][_METRIC] for bank in gain],
            )
        )
    return draw_intervals(
        list(gain),
        series,
        words,
        axis=words.say("Accuracy minus that of the bank alone, points"),
        differences=True,
    )


def _headline_table(study: Study, words: Words) -> Table:
    say = words.say
    rows, records = [], []
    for method in study.methods:
        summary = study.summary["methods"][method]
        values = [summary[part][_METRIC] for part, _ in labels.PARTS]
        auc = summary["pooled"].get("auc", {"mean": None, "reason": "undefined"})
        rows.append(
            [
                labels.method(method, words),
                *[formats.share(value, words) for value in values],
                formats.plain(auc, words),
            ]
        )
        cells = [("accuracy", scope) for _, scope in labels.PARTS] + [("auc", "pooled")]
        records += [
            {"method": method, "metric": metric, "rows": scope} | formats.flat(value)
            for (metric, scope), value in zip(cells, [*values, auc], strict=True)
        ]
    return Table(
        name=f"{study.key}headline",
        caption=say("Accuracy, and AUC on the whole market"),
        header=[
            say("Method"),
            *[labels.scope(scope, words) for _, scope in labels.PARTS],
            say("AUC, whole market"),
        ],
        rows=rows,
        frame=pd.DataFrame(records),
    )


def _gain_table(study: Study, words: Words) -> Table:
    say = words.say
    rows, records = [], []
    for bank, gains in study.summary["gain"].items():
        for method, metrics in gains.items():
            value = metrics[_METRIC]
            rows.append(
                [
                    bank,
                    labels.method(method, words),
                    formats.points(value, words),
                    _verdict(value, words),
                    _together(value, words),
                ]
            )
            records += [
                {"institution": bank, "method": method, "metric": name}
                | formats.flat(metric)
                | formats.flat_together(metric)
                for name, metric in metrics.items()
            ]
    return Table(
        name=f"{study.key}gain",
        caption=say("Gain in accuracy on own customers, percentage points"),
        header=[
            say("Bank"),
            say("Method"),
            say("Gain"),
            say("What the interval says"),
            say("Interval that holds for all at once"),
        ],
        rows=rows,
        frame=pd.DataFrame(records),
    )


def _verdict(value: Mapping[str, Any], words: Words) -> str:
    say = words.say
    if value["mean"] is None or value["ci95"] is None:
        return labels.remark(value["reason"], words)
    if formats.includes_zero(value):
        return say("includes 0: neither gain nor loss shown")
    return say("gain") if value["mean"] > 0 else say("loss")


def _together(value: Mapping[str, Any], words: Words) -> str:
    """The interval that holds together with those of all other gains."""
    found = formats.together([value])
    if not found:
        return formats.undefined(words)
    interval = formats.points_interval(found[0]["ci95"], words)
    if formats.includes_zero(found[0]):
        return words.say("%(interval)s, includes 0", interval=interval)
    return interval
