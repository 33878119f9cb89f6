"""Several records side by side, and the settings in which they differ."""

import functools
from collections.abc import Sequence

import matplotlib.figure
import pandas as pd

from tff_finance.report import (
    formats,
    labels,
    setting_labels,
    settings_section,
    styles,
)
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture, Section, Study, Table
from tff_finance.report.interval_figure import Series, draw_intervals


def comparison_section(studies: Sequence[Study], words: Words) -> Section:
    """What differs between the runs, and their headlines under each other."""
    say = words.say
    table = _headlines(studies, words)
    alt = say("; ").join(f"{row[0]}, {row[1]}: {row[4]}" for row in table.rows)
    differences = _differences(studies, words)
    notes = [] if differences.rows else [say("The runs have the same settings.")]
    if any(len(study.summary["seeds"]) == 1 for study in studies):
        notes.append(
            say(
                "A run of one seed has no intervals: its markers stand without bars, "
                "and nothing says how far another seed would move them."
            )
        )
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
    config = study.summary["config"]
    # Of experiments that have no scenario, their own name says what they are.
    name = config.get("scenario", study.summary["experiment"])
    title = words.say(
        "Run %(number)s: %(name)s",
        number=number,
        name=setting_labels.setting_value(name, words),
    )
    if "heterogeneity" not in config:
        return title
    return words.say(
        "%(run)s, heterogeneity %(level)s",
        run=title,
        level=f"{config['heterogeneity']:g}",
    )


def run_name(number: int, words: Words) -> str:
    """What tables and figures call a run."""
    return words.say("Run %(number)s", number=number)


def _run_label(number: int, study: Study, words: Words) -> str:
    """A run's name and, in the line below, its scenario."""
    summary = study.summary
    scenario = summary["config"].get("scenario", summary["experiment"])
    return f"{run_name(number, words)}\n{scenario}"


def _draw_comparison(
    studies: Sequence[Study], words: Words
) -> matplotlib.figure.Figure:
    methods = list(dict.fromkeys(m for study in studies for m in study.methods))
    series = []
    for method in methods:
        style = styles.method_style(method, methods)
        found = [study.summary["methods"].get(method) for study in studies]
        series.append(
            Series(
                label=labels.method(method, words),
                color=style.color,
                marker=style.marker,
                values=[None if s is None else s["pooled"]["accuracy"] for s in found],
            )
        )
    return draw_intervals(
        [_run_label(n, study, words) for n, study in enumerate(studies, start=1)],
        series,
        words,
        axis=words.say("Accuracy, %"),
    )


def _differences(studies: Sequence[Study], words: Words) -> Table:
    settings = [settings_section.flat_settings(study) for study in studies]
    names = list(dict.fromkeys(name for one in settings for name in one))
    differing = [
        name
        for name in names
        if any(one.get(name) != settings[0].get(name) for one in settings)
    ]
    runs = [run_name(n + 1, words) for n in range(len(studies))]
    return Table(
        name="differing_settings",
        caption=words.say("Settings in which the runs differ"),
        header=[words.say("Setting"), *runs],
        rows=[
            [
                setting_labels.setting(name, words),
                *[
                    setting_labels.setting_value(one.get(name, ""), words, of=name)
                    for one in settings
                ],
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
            values = [summary[part]["accuracy"] for part, _ in labels.PARTS]
            rows.append(
                [
                    run_name(number, words),
                    labels.method(method, words),
                    *[formats.share(value, words) for value in values],
                ]
            )
            records += [
                {"run": number, "method": method, "rows": scope} | formats.flat(value)
                for (_, scope), value in zip(labels.PARTS, values, strict=True)
            ]
    return Table(
        name="comparison",
        caption=words.say("Accuracy with 95 % interval"),
        header=[
            words.say("Run"),
            words.say("Method"),
            *[labels.scope(scope, words) for _, scope in labels.PARTS],
        ],
        rows=rows,
        frame=pd.DataFrame(records),
    )
