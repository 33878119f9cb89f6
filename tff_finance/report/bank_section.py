"""How the banks differ: size, share of positives, and what their customers are like."""

import functools

import matplotlib.figure
import numpy as np
import pandas as pd

from tff_finance.report import labels, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.class_words import class_words
from tff_finance.report.content import Picture, Section, Study, Table

# On the page; the file has all.
_MOST_FEATURES = 24


def bank_section(study: Study, words: Words) -> Section:
    """Sizes, shares of positives and standardised means of features."""
    say = words.say
    classes = class_words(study)
    table = _bank_table(study, words)
    alt = say("; ").join(f"{row[0]}: {row[1]}, {row[4]}" for row in table.rows)
    pictures = [
        Picture(
            name=f"{study.key}banks",
            title=say(classes.banks_title),
            alt=say(classes.banks_alt, c=alt),
            draw=functools.partial(_draw_banks, study),
        )
    ]
    tables = [table]
    notes = []
    if study.record.features:
        features = feature_table(study)
        shown = features.head(_MOST_FEATURES)
        pictures.append(
            Picture(
                name=f"{study.key}features",
                title=say("Typical customer of each bank against the market"),
                alt=_features_alt(features, words),
                draw=functools.partial(_draw_features, shown),
            )
        )
        tables.append(_feature_table(study, features, words))
        notes.append(
            say(
                "Features: mean over a bank's training customers minus the mean over "
                "all, in standard deviations over all; mean over seeds."
            )
        )
        if len(shown) < len(features):
            notes.append(
                say(
                    "The %(shown)s of %(all)s features that differ most; the CSV file "
                    "has all.",
                    shown=words.number(len(shown)),
                    all=words.number(len(features)),
                )
            )
    else:
        notes.append(
            say(
                "This record doesn't say how the banks' customers differ in their "
                "features; it was written by an earlier version."
            )
        )
    return Section(
        anchor=f"{study.key}banks",
        title=say("How the banks differ"),
        paragraphs=[say(classes.banks_differ)],
        pictures=pictures,
        tables=tables,
        notes=notes,
    )


def feature_table(study: Study) -> pd.DataFrame:
    """Mean over seeds by feature and institution, the most different first."""
    rows = pd.DataFrame(study.record.features)
    table = rows.pivot_table(index="feature", columns="institution", values="mean")
    table = table[study.banks]
    spread = table.max(axis=1) - table.min(axis=1)
    return table.loc[spread.sort_values(ascending=False, kind="stable").index]


def _features_alt(features: pd.DataFrame, words: Words) -> str:
    parts = [
        f"{labels.feature(str(name), words)} "
        + words.span(words.number(row.min(), 1), words.number(row.max(), 1))
        for name, row in features.head(3).iterrows()
    ]
    return words.say(
        "Standardised means of features by bank. The features that differ most: "
        "%(parts)s standard deviations.",
        parts=words.say("; ").join(parts),
    )


def _draw_banks(study: Study, words: Words) -> matplotlib.figure.Figure:
    banks, classes = study.banks, class_words(study)
    institutions = study.summary["institutions"]
    figure = styles.new_figure(1.1 + 0.36 * len(banks))
    left, right = figure.subplots(1, 2, sharey=True)
    columns = (
        (left, "train_rows", 1.0, 0, words.say(classes.training), "///"),
        (right, "positive_rate", 100.0, 1, words.say(classes.rate_percent), "..."),
    )
    for axes, name, scale, digits, label, hatch in columns:
        values = [scale * institutions[bank][name] for bank in banks]
        bars = axes.barh(
            range(len(banks)),
            values,
            color="#c9d6e2",
            edgecolor="#0b5a8a",
            hatch=hatch,
            height=0.6,
        )
        axes.bar_label(
            bars,
            [words.number(v, digits) for v in values],
            padding=3,
            fontsize=styles.SMALL,
        )
        axes.set_xlabel(label)
        axes.margins(x=0.3)
        axes.locator_params(axis="x", nbins=4)
        axes.xaxis.set_major_formatter(lambda value, _: words.number(value))
    left.set_yticks(range(len(banks)), banks)
    left.invert_yaxis()
    right.tick_params(axis="y", length=0)
    return figure


def _draw_features(features: pd.DataFrame, words: Words) -> matplotlib.figure.Figure:
    figure = styles.new_figure(1.1 + 0.24 * len(features))
    axes = figure.subplots()
    positions = np.arange(len(features))
    axes.axvline(0, color=styles.INK, linewidth=1)
    axes.hlines(
        positions, features.min(axis=1), features.max(axis=1), color="#8a93a0", lw=0.8
    )
    for number, bank in enumerate(features.columns):
        style = styles.series_style(number)
        axes.plot(
            features[bank],
            positions,
            color=style.color,
            marker=style.marker,
            markersize=6,
            markerfacecolor="white" if number % 2 else style.color,
            linestyle="none",
            label=bank,
        )
    axes.set_yticks(
        positions, [labels.feature(str(name), words) for name in features.index]
    )
    axes.invert_yaxis()
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(words.say("Standard deviations from the market"))
    styles.legend_above(axes, columns=4)
    return figure


def _bank_table(study: Study, words: Words) -> Table:
    say = words.say
    classes = class_words(study)
    columns = ("train_rows", "validation_rows", "test_rows")
    institutions = study.summary["institutions"]
    return Table(
        name=f"{study.key}banks",
        caption=say(classes.banks),
        header=[
            say("Bank"),
            say("Training"),
            say("Validation"),
            say("Test"),
            say(classes.rate),
        ],
        rows=[
            [
                bank,
                *[words.number(values[column]) for column in columns],
                words.percent(values["positive_rate"]),
            ]
            for bank, values in institutions.items()
        ],
        frame=pd.DataFrame(
            [{"institution": bank, **values} for bank, values in institutions.items()]
        ),
    )


def _feature_table(study: Study, features: pd.DataFrame, words: Words) -> Table:
    return Table(
        name=f"{study.key}features",
        caption=words.say("Standardised means of features"),
        header=[words.say("Feature"), *study.banks],
        rows=[
            [
                labels.feature(str(name), words),
                *[words.number(value, 2, sign=True) for value in row],
            ]
            for name, row in features.head(_MOST_FEATURES).iterrows()
        ],
        frame=features.reset_index(),
    )
