"""What training moved between the banks and the server."""

import functools

import matplotlib.figure
import numpy as np
import pandas as pd

from tff_finance.report import labels, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture, Section, Study, Table

_TRAFFIC = ("bytes_down", "bytes_up", "validation_bytes_down", "validation_bytes_up")


def traffic_section(study: Study, words: Words) -> Section:
    """What crossed between banks and server."""
    say = words.say
    table = _traffic_table(study, words)
    alt = say("; ").join(f"{row[0]}: {row[2]} + {row[3]}" for row in table.rows)
    picture = Picture(
        name=f"{study.key}traffic",
        title=say("Traffic of the whole training, all banks"),
        alt=say("Bytes to the banks plus bytes from the banks. %(c)s.", c=alt),
        draw=functools.partial(_draw_traffic, study),
    )
    return Section(
        anchor=f"{study.key}traffic",
        title=say("What travels between the banks and the server"),
        paragraphs=[
            say(
                "Federated training moves models and updates in every round, pooling "
                "moves the customers' rows themselves, once. Volume is not the same as "
                "exposure: rows are what the banks may not send."
            )
        ],
        pictures=[picture] if _methods_with_traffic(study) else [],
        tables=[table],
        notes=[
            say(
                "Means over seeds, of all rounds and banks; of methods that compress, "
                "as encoded. An exchange is a round in which something went between "
                "server and banks; seconds are those of a seed's training, on one "
                "machine."
            ),
            *_preprocessing(study, words),
        ],
    )


def _preprocessing(study: Study, words: Words) -> list[str]:
    """What fitting the shared encoder took, if the record says so."""
    traffic = study.summary["preprocessing"]
    if not traffic:
        return []
    return [
        words.say(
            "Before training, fitting the encoder that all banks share took %(down)s "
            "to each bank and %(up)s from it (%(source)s).",
            down=words.size(traffic["bytes_down"]),
            up=words.size(traffic["bytes_up"]),
            source=labels.remark(traffic["source"], words),
        )
    ]


def _methods_with_traffic(study: Study) -> list[str]:
    return [
        method
        for method in study.methods
        if any(study.summary["methods"][method]["communication"][k] for k in _TRAFFIC)
    ]


def _draw_traffic(study: Study, words: Words) -> matplotlib.figure.Figure:
    say = words.say
    methods = _methods_with_traffic(study)
    figure = styles.new_figure(1.3 + 0.45 * len(methods))
    axes = figure.subplots()
    parts = (
        (say("to the banks"), "#0b5a8a", "///"),
        (say("from the banks"), "#e3b587", "..."),
        (say("validation, to the banks"), "#8a93a0", "xxx"),
        (say("validation, from the banks"), "#ffffff", ""),
    )
    start = np.zeros(len(methods))
    for name, (label, color, hatch) in zip(_TRAFFIC, parts, strict=True):
        sizes = np.array(
            [study.summary["methods"][m]["communication"][name] for m in methods]
        )
        axes.barh(
            range(len(methods)),
            sizes / 1e6,
            left=start / 1e6,
            color=color,
            edgecolor=styles.INK,
            linewidth=0.6,
            hatch=hatch,
            height=0.6,
            label=label,
        )
        start = start + sizes
    for row, total in enumerate(start):
        axes.annotate(
            words.size(total),
            (total / 1e6, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=styles.SMALL,
        )
    axes.set_yticks(range(len(methods)), [labels.method(m, words) for m in methods])
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.margins(x=0.18)
    axes.grid(axis="x")
    axes.set_xlabel(say("Megabytes"))
    styles.legend_above(axes)
    return figure


def _traffic_table(study: Study, words: Words) -> Table:
    say = words.say
    rows, records = [], []
    for method in study.methods:
        summary = study.summary["methods"][method]
        traffic = summary["communication"]
        rows.append(
            [
                labels.method(method, words),
                words.number(traffic["rounds"]),
                *[words.size(traffic[name]) for name in _TRAFFIC],
                words.number(summary["seconds"]),
                labels.remark(traffic["source"], words),
            ]
        )
        records.append(
            {"method": method, **traffic, "training_seconds": summary["seconds"]}
        )
    return Table(
        name=f"{study.key}traffic",
        caption=say("Traffic and effort"),
        header=[
            say("Method"),
            say("Exchanges"),
            say("To the banks"),
            say("From the banks"),
            say("Validation, to the banks"),
            say("Validation, from the banks"),
            say("Seconds"),
            say("Bytes counted from"),
        ],
        rows=rows,
        frame=pd.DataFrame(records),
    )
