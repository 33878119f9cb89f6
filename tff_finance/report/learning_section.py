"""How training went, over rounds and over traffic."""

import functools

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd

from tff_finance.report import labels, learning_curves, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture, Section, Study

_MARKERS_PER_LINE = 8


def learning_section(study: Study, words: Words) -> Section | None:
    """Learning curves over rounds and bytes; None if nothing was recorded."""
    if not study.record.curves:
        return None
    say = words.say
    kept = learning_curves.kept_values(study.record)
    per_round = learning_curves.bytes_per_round(study.record)
    ends = say("; ").join(
        f"{labels.method(str(method), words)}: "
        + words.percent(float(rows["mean"].iloc[-1]))
        for method, rows in kept.groupby("method", sort=False)
    )
    pictures = [
        Picture(
            name=f"{study.key}learning_by_round",
            title=say("Validation accuracy over rounds"),
            alt=say(
                "Curves of validation accuracy over rounds or epochs. At the end: "
                "%(ends)s.",
                ends=ends,
            ),
            draw=functools.partial(_draw_by_round, study, kept),
        )
    ]
    if per_round:
        exchanged = learning_curves.of_exchanges(study.record)
        kept = learning_curves.kept_values(exchanged)
        pictures.append(
            Picture(
                name=f"{study.key}learning_by_bytes",
                title=say("Validation accuracy over traffic"),
                alt=say(
                    "Curves of validation accuracy over megabytes exchanged. A round "
                    "takes: %(rounds)s.",
                    rounds=say("; ").join(
                        f"{labels.method(m, words)}: {words.size(b)}"
                        for m, b in per_round.items()
                    ),
                ),
                draw=functools.partial(_draw_by_bytes, study, kept, per_round),
            )
        )
    losses = learning_curves.losses(study.record)
    pictures.append(
        Picture(
            name=f"{study.key}losses",
            title=say("Training and validation loss, one line per seed"),
            alt=_losses_alt(losses, words),
            draw=functools.partial(_draw_losses, losses),
        )
    )
    return Section(
        anchor=f"{study.key}learning",
        title=say("How training went"),
        paragraphs=[
            say(
                "Accuracy on validation customers of the model that would be kept "
                "after so many rounds. Lines are means over seeds, shades reach from "
                "the lowest seed to the highest. Banks alone are validated on their "
                "own customers, the other methods on all banks' customers: the two are "
                "not comparable here."
            )
        ],
        pictures=pictures,
        notes=[
            say(
                "A round of a federated method is one exchange with every bank; for "
                "banks alone and pooled rows it is a pass over the rows. Traffic is "
                "both directions, all banks, without validation. Losses "
                "are cross-entropy in nats, for banks alone the mean over their models."
            ),
            say(
                "Where validation loss rises while training loss falls, a model learns "
                "its training rows by heart; the weights of the lowest validation loss "
                "are kept."
            ),
        ],
    )


def _draw_by_round(
    study: Study, kept: pd.DataFrame, words: Words
) -> matplotlib.figure.Figure:
    figure = styles.new_figure(3.6)
    axes = figure.subplots()
    for method, rows in kept.groupby("method", sort=False):
        _plot_curve(
            axes,
            study,
            str(method),
            x=rows["round"].to_numpy(),
            rows=rows,
            words=words,
        )
    _finish_accuracy(axes, words)
    axes.set_xlabel(words.say("Round or epoch"))
    axes.set_xlim(left=0)
    return figure


def _draw_by_bytes(
    study: Study, kept: pd.DataFrame, per_round: dict[str, float], words: Words
) -> matplotlib.figure.Figure:
    figure = styles.new_figure(3.6)
    axes = figure.subplots()
    for method, size in per_round.items():
        rows = kept[kept["method"] == method]
        megabytes = rows["round"].to_numpy() * size / 1e6
        _plot_curve(axes, study, method, x=megabytes, rows=rows, words=words)
    pooled = study.summary["methods"].get("centralized")
    if pooled is not None:
        style = styles.method_style("centralized", study.methods)
        axes.axvline(
            pooled["communication"]["bytes_up"] / 1e6,
            color=style.color,
            linestyle=style.line,
            label=words.say("Upload of all rows, once"),
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(
        lambda value, _: words.number(value, max(0, int(np.ceil(-np.log10(value)))))
    )
    _finish_accuracy(axes, words)
    axes.set_xlabel(words.say("Megabytes exchanged, logarithmic scale"))
    return figure


def _plot_curve(
    axes: matplotlib.axes.Axes,
    study: Study,
    method: str,
    *,
    x: np.ndarray,
    rows: pd.DataFrame,
    words: Words,
) -> None:
    style = styles.method_style(method, study.methods)
    axes.plot(
        x,
        100 * rows["mean"].to_numpy(),
        color=style.color,
        linestyle=style.line,
        marker=style.marker,
        markersize=4,
        markevery=max(1, len(x) // _MARKERS_PER_LINE),
        label=labels.method(method, words),
    )
    axes.fill_between(
        x,
        100 * rows["low"].to_numpy(),
        100 * rows["high"].to_numpy(),
        color=style.color,
        alpha=0.14,
        linewidth=0,
    )


def _finish_accuracy(axes: matplotlib.axes.Axes, words: Words) -> None:
    axes.set_ylabel(words.say("Validation accuracy, %"))
    axes.grid()
    styles.legend_above(axes)


def _losses_alt(table: pd.DataFrame, words: Words) -> str:
    lowest = table.groupby(["method", "seed"], sort=False)["validation_loss"].min()
    means = lowest.groupby("method", sort=False).mean().dropna()
    return words.say(
        "Loss over rounds for each method and seed. Lowest validation loss, mean over "
        "seeds: %(values)s.",
        values=words.say("; ").join(
            f"{labels.method(str(method), words)} {words.number(float(value), 3)}"
            for method, value in means.items()
        ),
    )


def _draw_losses(table: pd.DataFrame, words: Words) -> matplotlib.figure.Figure:
    methods = list(dict.fromkeys(table["method"]))
    rows = -(-len(methods) // 2)
    figure = styles.new_figure(0.5 + 1.7 * rows)
    panels = figure.subplots(rows, 2, sharey=True, squeeze=False).ravel()
    for axes, method in zip(panels, methods, strict=False):
        axes.set_title(labels.method(method, words), loc="left")
        of_method = table[table["method"] == method]
        for number, (_, curve) in enumerate(of_method.groupby("seed")):
            for column, line, color, label in (
                ("training_loss", ":", "#0b5a8a", words.say("training")),
                ("validation_loss", "-", "#b3261e", words.say("validation")),
            ):
                # Some methods are validated in some rounds only.
                known = curve.dropna(subset=column)
                axes.plot(
                    known["round"],
                    known[column],
                    color=color,
                    linestyle=line,
                    linewidth=1,
                    label=label if number == 0 else None,
                )
        axes.grid()
    for axes in panels[len(methods) :]:
        axes.set_visible(False)
    top = float(np.nanquantile(table[["training_loss", "validation_loss"]], 0.995))
    panels[0].set_ylim(0, 1.05 * top)
    panels[0].legend(loc="upper right")
    figure.supxlabel(words.say("Round or epoch"), fontsize=styles.SMALL)
    figure.supylabel(words.say("Loss"), fontsize=styles.SMALL)
    return figure
