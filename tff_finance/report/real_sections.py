"""Headline and gains of a comparison on real tables, by AUC."""

import functools
from collections.abc import Mapping
from typing import Any

import matplotlib.figure
import pandas as pd

from tff_finance.report import formats, labels, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture, Section, Study, Table
from tff_finance.report.interval_figure import Series, draw_intervals

_DIGITS = 4
_METRICS = ("auc", "average_precision", "log_loss")


def market_section(study: Study, words: Words) -> Section:
    """Every method on all institutions' rows, and its distance to pooling."""
    say = words.say
    table = _market_table(study, words)
    tables = [table]
    if study.summary["to_centralized"]:
        tables.append(_distance_table(study, words))
    alt = say("; ").join(f"{row[0]}: {row[1]}" for row in table.rows)
    return Section(
        anchor=f"{study.key}headline",
        title=say("The headline: alone, together, pooled"),
        paragraphs=[
            say(
                "AUC is the probability that a model gives a positive row a higher "
                "score than a negative one: 0.5 is chance, 1 is perfect. All methods "
                "are judged on the same test rows of all banks."
            )
        ],
        pictures=[
            Picture(
                name=f"{study.key}headline",
                title=say("AUC on all banks' test rows, times 100"),
                alt=say("AUC with 95 %% intervals. %(cells)s.", cells=alt),
                draw=functools.partial(_draw_market, study),
            )
        ],
        tables=tables,
        notes=[
            say(
                "Mean over seeds; the 95 % interval is over test rows. Intervals of "
                "two methods that overlap say little, since both were judged on the "
                "same rows: look at the interval of their difference."
            )
        ],
    )


def own_rows_section(study: Study, words: Words) -> Section | None:
    """Each institution's gain on its own rows; None with nothing to compare."""
    if not any(study.summary["gain"].values()):
        return None
    say = words.say
    table = _gain_table(study, words)
    alt = say("; ").join(f"{row[0]}, {row[3]}: {row[5]}" for row in table.rows)
    return Section(
        anchor=f"{study.key}gain",
        title=say("What each bank gains on its own customers"),
        paragraphs=[
            say(
                "The AUC of each method on a bank's own test rows, minus that of the "
                "model the bank trains alone. Right of the line the bank gains, left "
                "of it it loses. A hollow marker says that the interval includes 0, or "
                "that there is none: with few rows counts stand there instead."
            )
        ],
        pictures=[
            Picture(
                name=f"{study.key}gain",
                title=say("Gain in AUC on own test rows, times 100"),
                alt=say("Gain in AUC with 95 %% intervals. %(cells)s.", cells=alt),
                draw=functools.partial(_draw_gain, study),
            )
        ],
        tables=[table],
    )


def _draw_market(study: Study, words: Words) -> matplotlib.figure.Figure:
    series = Series(
        label=labels.scope("pooled", words),
        color="#1f2933",
        marker="o",
        values=[m["pooled"]["auc"] for m in study.summary["methods"].values()],
    )
    return draw_intervals(
        [labels.method(method, words) for method in study.methods],
        [series],
        words,
        axis=words.say("AUC times 100"),
        numbers=True,
    )


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
                values=[gain[bank][method]["auc"] for bank in gain],
            )
        )
    return draw_intervals(
        list(gain),
        series,
        words,
        axis=words.say("AUC minus that of the bank alone, times 100"),
        differences=True,
    )


def _market_table(study: Study, words: Words) -> Table:
    values = {m: v["pooled"] for m, v in study.summary["methods"].items()}
    return Table(
        name=f"{study.key}headline",
        caption=words.say("All banks' test rows"),
        header=[
            words.say("Method"),
            *[labels.metric(metric, words) for metric in _METRICS],
        ],
        rows=[
            [
                labels.method(method, words),
                *[formats.plain(of[m], words, digits=_DIGITS) for m in _METRICS],
            ]
            for method, of in values.items()
        ],
        frame=pd.DataFrame(
            [
                {"method": method, "metric": metric} | _flat(value)
                for method, of in values.items()
                for metric, value in of.items()
            ]
        ),
    )


def _distance_table(study: Study, words: Words) -> Table:
    differences = study.summary["to_centralized"]
    return Table(
        name=f"{study.key}distance",
        caption=words.say("Minus pooled training, on the same rows"),
        header=[
            words.say("Method"),
            *[labels.metric(metric, words) for metric in _METRICS],
        ],
        rows=[
            [
                labels.method(method, words),
                *[
                    formats.plain(of[metric], words, digits=_DIGITS, sign=True)
                    for metric in _METRICS
                ],
            ]
            for method, of in differences.items()
        ],
        frame=pd.DataFrame(
            [
                {"method": method, "metric": metric} | _flat(value)
                for method, of in differences.items()
                for metric, value in of.items()
            ]
        ),
    )


def _gain_table(study: Study, words: Words) -> Table:
    say = words.say
    tested = _tested(study)
    rows, records = [], []
    for bank, gains in study.summary["gain"].items():
        own = study.summary["methods"]["local"]["own"][bank]["auc"]
        for method, metrics in gains.items():
            value = metrics["auc"]
            rows.append(
                [
                    bank,
                    words.number(study.summary["institutions"][bank]["train_rows"]),
                    say(
                        "%(rows)s (%(positives)s)",
                        rows=words.number(tested[bank][0]),
                        positives=words.number(tested[bank][1]),
                    ),
                    labels.method(method, words),
                    formats.plain(own, words, digits=_DIGITS),
                    _gain(value, words),
                ]
            )
            records += [
                {"institution": bank, "method": method, "metric": name} | _flat(metric)
                for name, metric in metrics.items()
            ]
    return Table(
        name=f"{study.key}gain",
        caption=say("Gain in AUC on own test rows"),
        header=[
            say("Bank"),
            say("Training rows"),
            say("Test rows (positive)"),
            say("Method"),
            say("AUC of its own model"),
            say("Gain"),
        ],
        rows=rows,
        frame=pd.DataFrame(records),
    )


def _tested(study: Study) -> dict[str, tuple[float, float]]:
    """Test rows and positives of each institution, means over seeds."""
    rows = pd.DataFrame(study.record.institutions)
    means = rows.groupby("institution")[["test_rows", "test_positives"]].mean()
    return {str(name): (float(a), float(b)) for name, (a, b) in means.iterrows()}


def _gain(value: Mapping[str, Any], words: Words) -> str:
    if value["mean"] is None or value.get("ci95") is None:
        return labels.remark(value["reason"], words)
    return formats.plain(value, words, digits=_DIGITS, sign=True)


def _flat(value: Mapping[str, Any]) -> dict[str, float | str | None]:
    """Interval over test rows and spread over seeds as columns of a CSV file."""
    return formats.flat(value) | {
        "sd_over_seeds": value.get("over_seeds", {}).get("sd")
    }
