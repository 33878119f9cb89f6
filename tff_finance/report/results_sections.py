"""The headline, and what each bank gains on its own customers."""

import functools
from collections.abc import Mapping
from typing import Any

import matplotlib.figure
import pandas as pd

from tff_finance.report import formats, labels, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture, Section, Study, Table

_METRIC = "accuracy"
# Part of the summary, scope, marker, filled: what tells the rows apart.
_PARTS = (
    ("own_mean", "own", "s", True),
    ("others_mean", "others", "^", False),
    ("pooled", "pooled", "o", True),
)
_COLORS = ("#0b5a8a", "#8a5a00", "#1f2933")


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
        draw=functools.partial(draw_headline, study),
    )


def draw_headline(study: Study, words: Words) -> matplotlib.figure.Figure:
    """Draws a row per method, with own, other banks' and all customers."""
    methods = study.methods
    figure = styles.new_figure(1.1 + 0.62 * len(methods))
    axes = figure.subplots()
    for number, (part, scope, marker, filled) in enumerate(_PARTS):
        styles.legend_entry(
            axes,
            labels.scope(scope, words),
            color=_COLORS[number],
            marker=marker,
            filled=filled,
        )
        for row, method in enumerate(methods):
            value = study.summary["methods"][method][part][_METRIC]
            if value["mean"] is None:
                continue
            low, high = value["ci95"] or (value["mean"], value["mean"])
            mean, color = 100 * value["mean"], _COLORS[number]
            height = row + 0.26 * (number - 1)
            axes.errorbar(
                mean,
                height,
                xerr=[[mean - 100 * low], [100 * high - mean]],
                color=color,
                marker=marker,
                markersize=6,
                markerfacecolor=color if filled else "white",
                capsize=2.5,
                linestyle="none",
            )
            axes.annotate(
                words.number(mean, 1),
                (100 * high, height),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                color=color,
                fontsize=styles.SMALL,
            )
    axes.set_yticks(
        range(len(methods)), [labels.method(method, words) for method in methods]
    )
    axes.set_ylim(len(methods) - 0.5, -0.5)
    for row in range(1, len(methods)):
        axes.axhline(row - 0.5, color=styles.GRID, linewidth=0.8)
    axes.margins(x=0.12)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(words.say("Accuracy, %"))
    styles.legend_above(axes)
    return figure


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
                "that the interval includes 0: these runs show neither gain nor loss."
            )
        ],
        pictures=[picture],
        tables=[table],
        notes=[
            say(
                "%(number)s intervals stand here, each at 95 %%, not adjusted for "
                "their number: were there no differences at all, about one in twenty "
                "would still exclude 0.",
                number=words.number(len(table.rows)),
            )
        ],
    )


def _draw_gain(study: Study, words: Words) -> matplotlib.figure.Figure:
    methods = [method for method in study.methods if method != "local"]
    banks = list(study.summary["gain"])
    step = 0.8 / max(len(methods), 1)
    figure = styles.new_figure(1.2 + 0.2 * len(methods) * len(banks))
    axes = figure.subplots()
    axes.axvline(0, color=styles.INK, linewidth=1)
    for number, method in enumerate(methods):
        style = styles.method_style(method, study.methods)
        for row, bank in enumerate(banks):
            value = study.summary["gain"][bank][method][_METRIC]
            if value["mean"] is None:
                continue
            mean = 100 * value["mean"]
            low, high = value["ci95"] or (value["mean"], value["mean"])
            axes.errorbar(
                mean,
                row + step * (number - (len(methods) - 1) / 2),
                xerr=[[mean - 100 * low], [100 * high - mean]],
                color=style.color,
                marker=style.marker,
                markersize=6,
                markerfacecolor="white"
                if formats.includes_zero(value)
                else style.color,
                capsize=2.5,
                linestyle="none",
            )
        styles.legend_entry(
            axes,
            labels.method(method, words),
            color=style.color,
            marker=style.marker,
            filled=True,
        )
    axes.set_yticks(range(len(banks)), banks)
    axes.set_ylim(len(banks) - 0.5, -0.5)
    for row in range(1, len(banks)):
        axes.axhline(row - 0.5, color=styles.GRID, linewidth=0.8)
    axes.margins(x=0.08)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(words.say("Accuracy minus that of the bank alone, points"))
    styles.legend_above(axes)
    return figure


def _headline_table(study: Study, words: Words) -> Table:
    say = words.say
    rows, records = [], []
    for method in study.methods:
        summary = study.summary["methods"][method]
        values = [summary[part][_METRIC] for part, *_ in _PARTS]
        auc = summary["pooled"].get("auc", {"mean": None, "reason": "undefined"})
        rows.append(
            [
                labels.method(method, words),
                *[formats.share(value, words) for value in values],
                formats.plain(auc, words),
            ]
        )
        cells = [("accuracy", scope) for _, scope, *_ in _PARTS] + [("auc", "pooled")]
        records += [
            {"method": method, "metric": metric, "rows": scope} | formats.flat(value)
            for (metric, scope), value in zip(cells, [*values, auc], strict=True)
        ]
    return Table(
        name=f"{study.key}headline",
        caption=say("Accuracy, and AUC on the whole market"),
        header=[
            say("Method"),
            *[labels.scope(scope, words) for _, scope, *_ in _PARTS],
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
                ]
            )
            records += [
                {"institution": bank, "method": method, "metric": name}
                | formats.flat(metric)
                for name, metric in metrics.items()
            ]
    return Table(
        name=f"{study.key}gain",
        caption=say("Gain in accuracy on own customers, percentage points"),
        header=[say("Bank"), say("Method"), say("Gain"), say("What the interval says")],
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
