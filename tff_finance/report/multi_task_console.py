"""A comparison of banks with different targets as text, from `summary.json` alone."""

from collections.abc import Mapping
from typing import Any

import rich.console

from tff_finance.report.console import (
    format_percent,
    label,
    new_table,
    training_notes,
)


def print_multi_task(
    summary: Mapping[str, Any], console: rich.console.Console | None = None
) -> None:
    """Prints each bank's own model, and what training together adds to it.

    Args:
        summary: The content of `summary.json`; its methods include `local`.
        console: Where to; standard output if None.
    """
    console = console or rich.console.Console(highlight=False)
    banks = list(summary["gain"])
    seeds = len(summary["seeds"])
    console.print(
        f"\nMean of {seeds} seed{'s' if seeds > 1 else ''} ± half width of the 95 % "
        "interval over seeds, on each bank's own test rows.\n"
    )
    for bank in banks:
        console.print(f"{bank}: {summary['institutions'][bank]['target']}")
    table = new_table(
        "AUC of its own model in %, and what other methods add, in points", *banks
    )
    rows = [f"{summary['institutions'][bank]['train_rows']:,}" for bank in banks]
    table.add_row("training rows", *rows)
    own = summary["methods"]["local"]["own"]
    table.add_row(label("local"), *[format_percent(own[bank]["auc"]) for bank in banks])
    for name in summary["methods"]:
        if name != "local":
            gains = [summary["gain"][bank][name]["auc"] for bank in banks]
            table.add_row(label(name), *[format_percent(g, sign=True) for g in gains])
    console.print(table)
    for note in training_notes(summary):
        console.print(note)
    console.print(summary["scenario"]["description"])
