"""Several records side by side, and the settings in which they differ."""

import functools
from collections.abc import Sequence

import matplotlib.figure
import pandas as pd

from tff_finance.report import formats, labels, settings_section, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture, Section, Study, Table

_PARTS = (("own_mean", "own"), ("others_mean", "others"), ("pooled", "pooled"))


def comparison_section(studies: Sequence[Study], words: Words) -> Section:
    """What differs between the runs, and their headlines under each other."""
    say = words.say
    table = _headlines(studies, words)
    alt = say("; ").join(f"{row[0]}, {row[1]}: {row[4]}" for row in table.rows)
    differences = _differences(studies, words)
    notes = [] if differences.rows else [say("The runs have the same settings.")]
    return Section(
        anchor="comparison",
        title=say("The runs side by side"),
        paragraphs=[
            say(
                "Runs may differ in more than one setting, and intervals are those of "
                "each run: a difference between runs has no interval of its own here."
            )
        ],
        pictures=[
            Picture(
                name="comparison",
                title=say("Accuracy on the whole market, %"),
                alt=say("Accuracy on the whole market. %(cells)s.", cells=alt),
                draw=functools.partial(_draw_comparison, studies),
            )
        ],
        tables=[*([differences] if differences.rows else []), table],
        notes=notes,
    )


def study_title(number: int, study: Study, words: Words) -> str:
    """The heading of a run's part of the page."""
    return words.say(
        "Run %(number)s: %(scenario)s, heterogeneity %(level)s",
        number=number,
        scenario=labels.setting_value(study.summary["config"]["scenario"], words),
        level=f"{study.summary['config']['heterogeneity']:g}",
    )


def _draw_comparison(
    studies: Sequence[Study], words: Words
) -> matplotlib.figure.Figure:
    methods = list(dict.fromkeys(m for study in studies for m in study.methods))
    step = 0.8 / len(methods)
    figure = styles.new_figure(1.3 + 0.22 * len(methods) * len(studies))
    axes = figure.subplots()
    for number, method in enumerate(methods):
        style = styles.method_style(method, methods)
        styles.legend_entry(
            axes,
            labels.method(method, words),
            color=style.color,
            marker=style.marker,
            filled=True,
        )
        for row, study in enumerate(studies):
            if method not in study.methods:
                continue
            value = study.summary["methods"][method]["pooled"]["accuracy"]
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
                capsize=2.5,
                linestyle="none",
            )
    axes.set_yticks(
        range(len(studies)),
        [words.say("Run %(number)s", number=n + 1) for n in range(len(studies))],
    )
    axes.set_ylim(len(studies) - 0.5, -0.5)
    for row in range(1, len(studies)):
        axes.axhline(row - 0.5, color=styles.GRID, linewidth=0.8)
    axes.grid(axis="x")
    axes.set_xlabel(words.say("Accuracy, %"))
    styles.legend_above(axes)
    return figure


def _differences(studies: Sequence[Study], words: Words) -> Table:
    settings = [settings_section.flat_settings(study) for study in studies]
    names = list(dict.fromkeys(name for one in settings for name in one))
    differing = [
        name
        for name in names
        if any(one.get(name) != settings[0].get(name) for one in settings)
    ]
    runs = [words.say("Run %(number)s", number=n + 1) for n in range(len(studies))]
    return Table(
        name="differing_settings",
        caption=words.say("Settings in which the runs differ"),
        header=[words.say("Setting"), *runs],
        rows=[
            [
                labels.setting(name, words),
                *[labels.setting_value(one.get(name, ""), words) for one in settings],
            ]
            for name in differing
        ],
        frame=pd.DataFrame(
            [
                {"setting": name}
                | {f"run_{n + 1}": one.get(name) for n, one in enumerate(settings)}
                for name in differing
            ]
        ),
    )


def _headlines(studies: Sequence[Study], words: Words) -> Table:
    rows, records = [], []
    for number, study in enumerate(studies, start=1):
        for method in study.methods:
            summary = study.summary["methods"][method]
            values = [summary[part]["accuracy"] for part, _ in _PARTS]
            rows.append(
                [
                    words.say("Run %(number)s", number=number),
                    labels.method(method, words),
                    *[formats.share(value, words) for value in values],
                ]
            )
            records += [
                {"run": number, "method": method, "rows": scope} | formats.flat(value)
                for (_, scope), value in zip(_PARTS, values, strict=True)
            ]
    return Table(
        name="comparison",
        caption=words.say("Accuracy with 95 % interval"),
        header=[
            words.say("Run"),
            words.say("Method"),
            *[labels.scope(scope, words) for _, scope in _PARTS],
        ],
        rows=rows,
        frame=pd.DataFrame(records),
    )
