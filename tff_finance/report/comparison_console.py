"""A comparison on real tables as text, from `summary.json` alone."""

from collections.abc import Mapping
from typing import Any

import rich.console
import rich.table

from tff_finance.report import console as case_study_console

_METRICS = ("auc", "average_precision", "log_loss")


def print_comparison(
    summary: Mapping[str, Any], console: rich.console.Console | None = None
) -> None:
    """Prints methods on all rows, distances, and gains on own rows.

    Args:
        summary: The content of `summary.json`.
        console: Where to; standard output if None.
    """
    console = console or rich.console.Console(highlight=False)
    config = summary["config"]
    seeds = len(summary["seeds"])
    dealt = f"partition {config['partition']}, " if config["partition"] else ""
    console.print(
        f"\n{summary['scenario']['description']}; {dealt}split {config['split']}; "
        f"mean of {seeds} seed{'s' if seeds > 1 else ''}, in brackets the 95 % "
        "interval over test rows, then ± the standard deviation over seeds. n/a: "
        "summary.json gives the reason.\n"
    )
    console.print(_pooled(summary))
    for note in case_study_console.privacy_notes(summary):
        console.print(note)
    for reference, title in (
        ("to_centralized", "AUC on all rows minus that of pooled training"),
        ("to_local", "AUC on all rows minus the mean of the local models'"),
        ("to_fed_avg", "AUC on all rows minus FedAvg's"),
    ):
        if summary[reference]:
            console.print(_differences(summary[reference], title))
    if summary["gain"]:
        console.print(_gains(summary))
    if summary["contribution"]:
        table = case_study_console.contribution_table(summary["contribution"])
        console.print(table)
    for note in case_study_console.training_notes(summary):
        console.print(note)


def format_value(value: Mapping[str, Any], *, sign: bool = False) -> str:
    """Mean, interval and spread with four decimal places."""
    if value["mean"] is None:
        return "n/a"
    form = "+.4f" if sign else ".4f"
    text = f"{value['mean']:{form}}"
    if value.get("ci95") is not None:
        low, high = value["ci95"]
        text += f" [{low:{form}}, {high:{form}}]"
    spread = value.get("over_seeds", {}).get("sd")
    return text if spread is None else f"{text} ± {spread:.4f}"


def _pooled(summary: Mapping[str, Any]) -> rich.table.Table:
    table = case_study_console.new_table("All institutions' test rows", *_METRICS)
    for name, method in summary["methods"].items():
        cells = [format_value(method["pooled"][metric]) for metric in _METRICS]
        table.add_row(case_study_console.label(name), *cells)
    return table


def _differences(differences: Mapping[str, Any], title: str) -> rich.table.Table:
    table = case_study_console.new_table(title, "difference", "far limit")
    for name, metrics in differences.items():
        value = metrics["auc"]
        far = "n/a"
        if value.get("ci95") is not None:
            far = f"{max(map(abs, value['ci95'])):.4f}"
        table.add_row(
            case_study_console.label(name), format_value(value, sign=True), far
        )
    return table


def _gains(summary: Mapping[str, Any]) -> rich.table.Table:
    table = case_study_console.new_table(
        "Each institution's own test rows: AUC of its own model, and what others gain",
        "",
        "AUC",
    )
    table.columns[1].justify = "left"
    for bank, gains in summary["gain"].items():
        rows = summary["institutions"][bank]
        own = summary["methods"]["local"]["own"][bank]["auc"]
        table.add_row(bank, case_study_console.label("local"), format_value(own))
        counts = (
            f"{rows['train_rows']:,} training and {rows['test_rows']:,} test rows",
            f"{rows['positive_rate']:.1%} positive",
        )
        for number, (method, metrics) in enumerate(gains.items()):
            table.add_row(
                counts[number] if number < len(counts) else "",
                case_study_console.label(method),
                format_value(metrics["auc"], sign=True),
            )
        table.add_section()
    return table
