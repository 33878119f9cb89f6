"""How scores spread at each bank, under its own, others' and the joint model."""

import functools
from collections.abc import Mapping

import matplotlib.figure
import numpy as np

from tff_finance.report import labels, score_curves, styles
from tff_finance.report.catalogue import Words, mark
from tff_finance.report.class_words import ClassWords, class_words
from tff_finance.report.content import Picture, Section, Study
from tff_finance.report.score_curves import Array, ScoreHistograms

# More banks than this don't fit a page; their histograms are in the record.
MOST_BANKS = 6

_OWN = mark("The bank's own model")
_FOREIGN = mark("The other banks' own models")
# Probabilities at ticks, and how many places they need in percent.
_TICKS = ((1e-5, 3), (1e-3, 1), (0.1, 0), (0.5, 0), (0.9, 0), (0.999, 1), (0.99999, 3))

_Shares = tuple[Array, Array]


def distribution_section(
    study: Study, histograms: ScoreHistograms, words: Words
) -> Section | None:
    """Scores of both classes at each bank; None without histograms."""
    say = words.say
    classes = class_words(study)
    pictures = []
    for bank in study.banks[:MOST_BANKS]:
        drawn = _distributions(study, histograms, bank)
        if drawn:
            pictures.append(
                Picture(
                    name=f"{study.key}distribution_{len(pictures) + 1}",
                    title=say(classes.at_bank, bank=bank),
                    alt=_alt(bank, drawn, classes, words),
                    draw=functools.partial(_draw, drawn, classes),
                )
            )
    if not pictures:
        return None
    notes = [say(classes.distribution_rows)]
    if len(study.banks) > MOST_BANKS:
        notes.append(
            say(
                "The first %(shown)s of %(all)s banks are drawn.",
                shown=words.number(MOST_BANKS),
                all=words.number(len(study.banks)),
            )
        )
    return Section(
        anchor=f"{study.key}distributions",
        title=say("How scores spread at each bank"),
        paragraphs=[say(classes.distributions)],
        pictures=pictures,
        notes=notes,
    )


def _distributions(
    study: Study, histograms: ScoreHistograms, bank: str
) -> dict[str, _Shares]:
    """What is drawn for a bank, by the English name of the model."""
    found = {
        _OWN: histograms.distribution("local", bank),
        _FOREIGN: histograms.distribution("local", bank, foreign=True),
    }
    if study.federated is not None:
        found[labels.METHODS.get(study.federated, study.federated)] = (
            histograms.distribution(study.federated, bank)
        )
    return {name: shares for name, shares in found.items() if shares is not None}


def _alt(
    bank: str, drawn: Mapping[str, _Shares], classes: ClassWords, words: Words
) -> str:
    half = len(score_curves.DISTRIBUTION_EDGES) // 2
    parts = [
        words.say(
            classes.distribution_alt,
            model=words.say(name),
            found=words.percent(float(positives[half:].sum())),
            alarms=words.percent(float(negatives[half:].sum())),
        )
        for name, (negatives, positives) in drawn.items()
    ]
    return words.say(
        "Distribution of scores at %(bank)s. %(parts)s.",
        bank=bank,
        parts=words.say("; ").join(parts),
    )


def _draw(
    drawn: Mapping[str, _Shares], classes: ClassWords, words: Words
) -> matplotlib.figure.Figure:
    figure = styles.new_figure(0.9 + 1.2 * len(drawn))
    panels = figure.subplots(
        len(drawn), 1, sharex=True, sharey=True, squeeze=False
    ).ravel()
    edges = score_curves.DISTRIBUTION_EDGES
    for axes, (name, (negatives, positives)) in zip(panels, drawn.items(), strict=True):
        axes.set_title(words.say(name), loc="left")
        axes.stairs(
            100 * negatives,
            edges,
            fill=True,
            facecolor="#c9d6e2",
            edgecolor="#0b5a8a",
            linewidth=1,
            label=words.say(classes.negative),
        )
        axes.stairs(
            100 * positives,
            edges,
            fill=True,
            facecolor="none",
            edgecolor="#b3261e",
            hatch="////",
            linewidth=1.4,
            label=words.say(classes.positive),
        )
        axes.axvline(0, color=styles.INK, linewidth=1, linestyle=":")
        axes.grid(axis="y")
    ticks = np.array([probability for probability, _ in _TICKS])
    panels[-1].set_xticks(
        np.log(ticks / (1 - ticks)),
        [words.number(100 * tick, places) for tick, places in _TICKS],
    )
    panels[-1].set_xlabel(words.say(classes.predicted))
    figure.supylabel(words.say("Share of the class, %"), fontsize=styles.SMALL)
    styles.legend_above(panels[0])
    return figure
