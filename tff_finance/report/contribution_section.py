"""What each bank contributes to the joint model, from the values of coalitions."""

import functools
from collections.abc import Mapping
from typing import Any

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd

from tff_finance.report import formats, labels, styles
from tff_finance.report.catalogue import Words, mark
from tff_finance.report.content import Picture, Section, Study, Table
from tff_finance.report.interval_figure import Series, draw_intervals

_DIGITS = 4
# More markers in a row can't be told apart.
_MOST_BANKS = 6
_KINDS = {
    "shapley": mark("Shapley value"),
    "leave_one_out": mark("Leave-one-out"),
}
_LOOKS = {"shapley": ("#c9d6e2", "///"), "leave_one_out": ("#e3b587", "...")}


def contribution_section(study: Study, words: Words) -> Section | None:
    """What the joint model would lose without each bank; None if nobody asked."""
    if not study.summary.get("contribution"):
        return None
    say = words.say
    table = _contribution_table(study, words)
    alt = say("; ").join(
        " ".join(part for part in row if part) for row in _named(table, words)
    )
    pictures = [
        Picture(
            name=f"{study.key}contribution",
            title=say("Contribution to AUC on all banks' test rows, times 100"),
            alt=say("Contributions to AUC. %(cells)s.", cells=alt),
            draw=functools.partial(_draw_contribution, study),
        )
    ]
    if len(study.banks) <= _MOST_BANKS:
        pictures.append(_own_picture(study, words))
    return Section(
        anchor=f"{study.key}contribution",
        title=say("What each bank contributes"),
        paragraphs=_paragraphs(study, words),
        pictures=pictures,
        tables=[table, _own_table(study, words), _coalition_table(study, words)],
        notes=_notes(study, words),
    )


def contribution_finding(study: Study, words: Words) -> str:
    """A sentence on what banks contribute on all rows."""
    found = study.summary.get("contribution")
    if not found:
        return ""
    kind = _main_kind(study)
    values = found[kind]["pooled"]
    method = labels.algorithm(found["method"])
    if len(values) > _MOST_BANKS:
        return _range(values, method, words)
    cells = words.say("; ").join(
        f"{bank} {_text(value, words)}" for bank, value in values.items()
    )
    if kind == "shapley":
        return words.say(
            "Of what %(method)s adds to an AUC of 0.5 on all rows, each bank's share "
            "by Shapley values: %(cells)s.",
            method=method,
            cells=cells,
        )
    return words.say(
        "What the AUC of %(method)s on all rows loses without each bank: %(cells)s.",
        method=method,
        cells=cells,
    )


def _range(values: Mapping[str, Mapping[str, Any]], method: str, words: Words) -> str:
    """The least and the greatest, where a list would be too long."""
    defined = {bank: v for bank, v in values.items() if v["mean"] is not None}
    if not defined:
        return ""
    ordered = sorted(defined, key=lambda bank: defined[bank]["mean"])
    return words.say(
        "What the AUC of %(method)s on all rows loses without a bank: from %(low)s "
        "(%(first)s) to %(high)s (%(last)s).",
        method=method,
        low=words.number(defined[ordered[0]]["mean"], _DIGITS, sign=True),
        first=ordered[0],
        high=words.number(defined[ordered[-1]]["mean"], _DIGITS, sign=True),
        last=ordered[-1],
    )


def _paragraphs(study: Study, words: Words) -> list[str]:
    say = words.say
    method = labels.algorithm(study.summary["contribution"]["method"])
    if _main_kind(study) == "leave_one_out":
        return [
            say(
                "%(method)s was trained by all banks, and by all but one for each, as "
                "if that one did not exist. Leave-one-out is what the AUC loses "
                "without the bank. What two banks both bring counts for neither.",
                method=method,
            )
        ]
    return [
        say(
            "%(method)s was trained by every coalition of banks, each as if the others "
            "did not exist, and judged on the test rows of all banks. A bank's Shapley "
            "value is what its joining adds to the AUC, averaged over all orders in "
            "which the banks could have joined. Shapley values add up to the AUC of "
            "all banks together minus 0.5, that of a score without information.",
            method=method,
        ),
        say(
            "Leave-one-out is what the AUC of all banks together loses without the "
            "bank. What two banks both bring counts for neither, so that these need "
            "not add up to anything."
        ),
    ]


def _notes(study: Study, words: Words) -> list[str]:
    say = words.say
    found = study.summary["contribution"]
    notes = [
        say("Mean over seeds with 95 % interval.")
        if not study.is_of_real_tables
        else say(
            "Mean and standard deviation over seeds; no interval over test rows is "
            "computed here."
        ),
        say(
            "A coalition knows nothing of the other banks: it fits its own encoder and "
            "stops by its own validation rows."
        ),
    ]
    if found["runs_stopped_at_maximum"]:
        notes.append(
            say(
                "%(stopped)s of %(runs)s trainings of coalitions ended at the most "
                "rounds allowed, still improving.",
                stopped=words.number(found["runs_stopped_at_maximum"]),
                runs=words.number(found["runs"]),
            )
        )
    return notes


def _kinds(study: Study) -> list[str]:
    return [kind for kind in _KINDS if study.summary["contribution"][kind]]


def _main_kind(study: Study) -> str:
    return _kinds(study)[0]


def _draw_contribution(study: Study, words: Words) -> matplotlib.figure.Figure:
    banks, kinds = study.banks, _kinds(study)
    figure = styles.new_figure(1.2 + 0.32 * len(kinds) * len(banks))
    axes = figure.subplots()
    axes.axvline(0, color=styles.INK, linewidth=1)
    height = 0.8 / len(kinds)
    for number, kind in enumerate(kinds):
        values = study.summary["contribution"][kind]["pooled"]
        color, hatch = _LOOKS[kind]
        places = np.arange(len(banks)) + height * (number - (len(kinds) - 1) / 2)
        means = [100 * (values[bank]["mean"] or 0.0) for bank in banks]
        axes.barh(
            places,
            means,
            color=color,
            edgecolor=styles.INK,
            linewidth=0.6,
            hatch=hatch,
            height=0.9 * height,
            label=words.say(_KINDS[kind]),
        )
        for place, bank in zip(places, banks, strict=True):
            _draw_whisker(axes, values[bank], place, words)
    axes.set_yticks(range(len(banks)), banks)
    axes.invert_yaxis()
    axes.margins(x=0.16)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(words.say("Contribution to AUC, times 100"))
    styles.legend_above(axes)
    return figure


def _draw_whisker(
    axes: matplotlib.axes.Axes, value: Mapping[str, Any], place: float, words: Words
) -> None:
    """The interval of a bar, or its spread over seeds, and its mean in numbers."""
    if value["mean"] is None:
        text, end = formats.undefined(words), 0.0
    else:
        low, high = _limits(value)
        end = 100 * max(high, 0.0)
        text = words.number(100 * value["mean"], 1)
        axes.plot([100 * low, 100 * high], [place, place], color=styles.INK, lw=1.4)
    axes.annotate(
        text,
        (end, place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=styles.SMALL,
    )


def _limits(value: Mapping[str, Any]) -> tuple[float, float]:
    if value.get("ci95") is not None:
        low, high = value["ci95"]
        return low, high
    spread = value.get("over_seeds", {}).get("sd") or 0.0
    return value["mean"] - spread, value["mean"] + spread


def _own_picture(study: Study, words: Words) -> Picture:
    table = _own_table(study, words)
    cells = words.say("; ").join(": ".join(row) for row in _named(table, words))
    return Picture(
        name=f"{study.key}contribution_own",
        title=words.say("Contribution to AUC on each bank's test rows, times 100"),
        alt=words.say("Contributions to AUC. %(cells)s.", cells=cells),
        draw=functools.partial(_draw_own, study),
    )


def _draw_own(study: Study, words: Words) -> matplotlib.figure.Figure:
    own = study.summary["contribution"][_main_kind(study)]["own"]
    series = []
    for number, bank in enumerate(study.banks):
        style = styles.series_style(number)
        series.append(
            Series(
                label=words.say("by %(bank)s", bank=bank),
                color=style.color,
                marker=style.marker,
                values=[own[whose][bank] for whose in study.banks],
            )
        )
    return draw_intervals(
        [words.say("rows of %(bank)s", bank=bank) for bank in study.banks],
        series,
        words,
        axis=words.say("Contribution to AUC, times 100"),
        differences=True,
    )


def _contribution_table(study: Study, words: Words) -> Table:
    found, kinds = study.summary["contribution"], _kinds(study)
    return Table(
        name=f"{study.key}contribution",
        caption=words.say("Contribution to AUC on all banks' test rows"),
        header=[words.say("Bank"), *[words.say(_KINDS[kind]) for kind in kinds]],
        rows=[
            [bank, *[_text(found[kind]["pooled"][bank], words) for kind in kinds]]
            for bank in study.banks
        ],
        frame=_frame(
            (
                {"kind": kind, "rows": "pooled", "of": "", "institution": bank},
                found[kind]["pooled"][bank],
            )
            for kind in kinds
            for bank in study.banks
        ),
    )


def _own_table(study: Study, words: Words) -> Table:
    """By whose rows, which are lines, and who contributes, who are columns."""
    found, kinds = study.summary["contribution"], _kinds(study)
    own = found[kinds[0]]["own"]
    return Table(
        name=f"{study.key}contribution_own",
        caption=words.say(
            "Contribution to AUC on each bank's test rows: %(kind)s",
            kind=words.say(_KINDS[kinds[0]]),
        ),
        header=[
            words.say("Test rows of"),
            *[words.say("by %(bank)s", bank=bank) for bank in study.banks],
        ],
        rows=[
            [whose, *[_text(own[whose][bank], words) for bank in study.banks]]
            for whose in study.banks
        ],
        frame=_frame(
            (
                {"kind": kind, "rows": "own", "of": whose, "institution": bank},
                found[kind]["own"][whose][bank],
            )
            for kind in kinds
            for whose in study.banks
            for bank in study.banks
        ),
    )


def _coalition_table(study: Study, words: Words) -> Table:
    coalitions = study.summary["contribution"]["coalitions"]
    return Table(
        name=f"{study.key}coalitions",
        caption=words.say("AUC of the models that coalitions trained"),
        header=[words.say("Who trained"), words.say("AUC, all banks' test rows")],
        rows=[
            [
                words.say(", ").join(members.split("/")),
                _text(scopes["pooled"], words, sign=False),
            ]
            for members, scopes in coalitions.items()
        ],
        frame=_frame(
            ({"members": members, "rows": "own" if whose else "pooled", "of": whose}, v)
            for members, scopes in coalitions.items()
            for whose, v in {"": scopes["pooled"], **scopes["own"]}.items()
        ),
    )


def _text(value: Mapping[str, Any], words: Words, *, sign: bool = True) -> str:
    """Mean and interval, or mean and spread over seeds of real tables."""
    spread = value.get("over_seeds", {}).get("sd")
    if value["mean"] is None or spread is None:
        return formats.plain(value, words, digits=_DIGITS, sign=sign)
    return words.say(
        "%(mean)s ± %(spread)s",
        mean=words.number(value["mean"], _DIGITS, sign=sign),
        spread=words.number(spread, _DIGITS),
    )


def _named(table: Table, words: Words) -> list[list[str]]:
    """A table's rows with the columns' names before the cells."""
    return [
        [
            row[0],
            words.say(", ").join(
                f"{name} {cell}"
                for name, cell in zip(table.header[1:], row[1:], strict=True)
            ),
        ]
        for row in table.rows
    ]


def _frame(cells: Any) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                **names,
                **formats.flat(value),
                "sd_over_seeds": value.get("over_seeds", {}).get("sd"),
            }
            for names, value in cells
        ]
    )
