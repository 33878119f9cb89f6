"""Arms of terminal risk as text, from `terminal_risk.json` alone."""

from collections.abc import Mapping
from typing import Any

import rich.console

from tff_finance.report import console as case_study_console
from tff_finance.report.comparison_console import format_value


def print_arms(
    result: Mapping[str, Any], console: rich.console.Console | None = None
) -> None:
    """Prints every arm's and method's values, and the differences.

    Args:
        result: The content of `terminal_risk.json`.
        console: Where to; standard output if None.
    """
    console = console or rich.console.Console(highlight=False)
    metrics = list(next(iter(result["values"]["own"].values())))
    console.print(
        f"\nMean of {len(result['seeds'])} seeds, in brackets the 95 % interval over "
        "test cards, then ± the standard deviation over seeds. local: each bank's "
        "model on its own payments.\n"
    )
    for metric in metrics:
        table = case_study_console.new_table(metric, *result["values"])
        for method in result["values"]["own"]:
            table.add_row(
                case_study_console.label(method),
                *(
                    format_value(of_arm[method][metric])
                    for of_arm in result["values"].values()
                ),
            )
        console.print(table)
    for difference in result["differences"]:
        title = (
            f"{difference['arm']} {difference['method']} minus "
            f"{difference['reference_arm']} {difference['reference_method']}"
        )
        values = "; ".join(
            f"{metric} {format_value(value, sign=True)}"
            for metric, value in difference["metrics"].items()
        )
        console.print(f"{title}: {values}")
