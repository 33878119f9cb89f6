"""How good the global model is after how many bytes, method by method."""

import dataclasses
import functools

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd

from tff_finance.records.run_record import RunRecord
from tff_finance.report import formats, labels, learning_curves, styles
from tff_finance.report.catalogue import Words, mark
from tff_finance.report.content import Picture, Section, Study, Table

_BOTH = mark("Megabytes exchanged, logarithmic scale")
_UP = mark("Megabytes from the banks, logarithmic scale")
_MARKERS_PER_LINE = 6
_DIGITS = 4
# Early rounds would leave the rest of the axis to a hundredth of AUC.
_SHOWN = 0.9


def compression_section(study: Study, words: Words) -> Section | None:
    """AUC over bytes; None if curves have no AUC, or nothing goes round by round."""
    record = _of_curves_with_auc(study.record)
    per_round = learning_curves.bytes_per_round(record) if record.runs else {}
    if not per_round:
        return None
    say = words.say
    kept = learning_curves.kept_values(record, "validation_auc")
    uploads = learning_curves.bytes_per_round(record, ("bytes_up",))
    ends = {
        method: float(kept.loc[kept["method"] == method, "mean"].iloc[-1])
        for method in per_round
    }
    alt = say("; ").join(
        f"{labels.method(method, words)}: {words.number(value, _DIGITS)}"
        for method, value in ends.items()
    )
    table = _table(study, words)
    return Section(
        anchor=f"{study.key}compression",
        title=say("How good after how many bytes"),
        paragraphs=[
            say(
                "AUC on validation customers of the model that would be kept after so "
                "many bytes, all banks together. Lines are means over seeds, shades "
                "reach from the lowest seed to the highest. Compression makes what "
                "the banks send smaller; the model that goes down stays as large as "
                "it is."
            )
        ],
        pictures=[
            Picture(
                name=f"{study.key}auc_by_bytes",
                title=say("Validation AUC over traffic, both directions"),
                alt=say(
                    "Curves of validation AUC over megabytes. At the end: %(ends)s.",
                    ends=alt,
                ),
                draw=functools.partial(_draw, study, kept, per_round, _BOTH),
            ),
            Picture(
                name=f"{study.key}auc_by_upload",
                title=say("Validation AUC over what the banks send"),
                alt=say(
                    "Curves of validation AUC over megabytes. At the end: %(ends)s.",
                    ends=alt,
                ),
                draw=functools.partial(_draw, study, kept, uploads, _UP),
            ),
        ],
        tables=[table] if table else [],
        notes=[
            say(
                "The score counts that this AUC is computed from are an instrument of "
                "the study: no rule of training looks at them, and they are not in the "
                "traffic. Curves leave out validation traffic, bytes in the table that "
                "go in both directions have it; medians over seeds."
            )
        ],
    )


def _of_curves_with_auc(record: RunRecord) -> RunRecord:
    """Methods that train one model for all, and whose curves have its AUC."""
    alone = {row.method for row in record.runs if row.model != "global"}
    measured = {
        row.method for row in record.curves if row.validation_auc is not None
    } - alone
    return dataclasses.replace(
        record,
        curves=tuple(row for row in record.curves if row.method in measured),
        runs=tuple(row for row in record.runs if row.method in measured),
    )


def _draw(
    study: Study,
    kept: pd.DataFrame,
    per_round: dict[str, float],
    axis: str,
    words: Words,
) -> matplotlib.figure.Figure:
    figure = styles.new_figure(3.6)
    axes = figure.subplots()
    for method, size in per_round.items():
        rows = kept[kept["method"] == method]
        megabytes = rows["round"].to_numpy() * size / 1e6
        style = styles.method_style(method, study.methods)
        axes.plot(
            megabytes,
            rows["mean"],
            color=style.color,
            linestyle=style.line,
            marker=style.marker,
            markersize=4,
            markevery=max(1, len(rows) // _MARKERS_PER_LINE),
            label=labels.method(method, words),
        )
        axes.fill_between(
            megabytes,
            rows["low"],
            rows["high"],
            color=style.color,
            alpha=0.14,
            linewidth=0,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(
        lambda value, _: words.number(value, max(0, int(np.ceil(-np.log10(value)))))
    )
    axes.set_xlabel(words.say(axis))
    axes.set_ylabel(words.say("Validation AUC"))
    _look_at_the_end(axes, kept[kept["method"].isin(per_round)])
    axes.grid()
    styles.legend_above(axes)
    return figure


def _look_at_the_end(axes: matplotlib.axes.Axes, kept: pd.DataFrame) -> None:
    """Leaves out where lines are far below their end, and what lies left of it."""
    lowest = 0.5 + _SHOWN * (kept["mean"].max() - 0.5)
    margin = 0.05 * (kept["high"].max() - lowest)
    axes.set_ylim(lowest - margin, kept["high"].max() + margin)
    lines = [np.asarray(line.get_xydata(), float) for line in axes.lines]
    starts = [line[line[:, 1] >= lowest, 0].min(initial=np.inf) for line in lines]
    axes.set_xlim(left=min(starts) / 1.5)


def _table(study: Study, words: Words) -> Table | None:
    """Against FedAvg; None where it isn't compared."""
    say = words.say
    reached = study.summary["to_99_percent_of_fed_avg"]
    if not reached:
        return None
    plain = study.summary["methods"]["fed_avg"]["communication"]
    rows, records = [], []
    for method, reach in reached.items():
        traffic = study.summary["methods"][method]["communication"]
        sent = traffic["institution_bytes_up"]
        factor = None
        if sent and plain["institution_bytes_up"]:
            factor = plain["institution_bytes_up"] / sent
        difference = study.summary["to_fed_avg"].get(method, {}).get("auc")
        rows.append(
            [
                labels.method(method, words),
                formats.undefined(words) if sent is None else words.size(sent),
                formats.undefined(words) if factor is None else words.number(factor, 1),
                _size(reach["bytes_up"]["median"], words),
                _size(reach["bytes"]["median"], words),
                formats.plain(difference, words, digits=_DIGITS, sign=True)
                if difference
                else "",
            ]
        )
        record = {
            "method": method,
            "institution_bytes_up": sent,
            "times_less_than_fed_avg": factor,
            "bytes_up_to_99_percent": reach["bytes_up"]["median"],
            "bytes_to_99_percent": reach["bytes"]["median"],
            "seeds_reached": reach["seeds_reached"],
        }
        flat = formats.flat(difference) if difference else {}
        record.update((f"auc_minus_fed_avg_{name}", v) for name, v in flat.items())
        records.append(record)
    return Table(
        name=f"{study.key}compression",
        caption=say("Until 99 % of FedAvg's final validation AUC"),
        header=[
            say("Method"),
            say("From a bank, a round"),
            say("Times less than FedAvg"),
            say("From the banks until then"),
            say("Both directions until then"),
            say("AUC on test rows, minus FedAvg's"),
        ],
        rows=rows,
        frame=pd.DataFrame(records),
    )


def _size(median: float | None, words: Words) -> str:
    return formats.undefined(words) if median is None else words.size(median)
