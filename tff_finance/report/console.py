"""The comparison as text, from `summary.json` alone."""

from collections.abc import Mapping
from typing import Any

import rich.box
import rich.console
import rich.table

_LABELS = {
    "local": "local (each bank alone)",
    "fed_avg": "FedAvg",
    "fed_sgd": "FedSGD",
    "centralized": "centralized (rows pooled)",
    "gradient_boosting": "gradient boosting (rows pooled)",
}

CAUTION = """\
The population is synthetic and ours, made to examine a published claim; it says
nothing about any real bank. One law of default holds for the whole market. A
bank that saw only its own segment has learnt the part of the law that matters
there: its model is good at home and poor on customers unlike its own. That is
where the gap on other banks' rows comes from; it vanishes as the banks' customers
become alike (--heterogeneity=0) or if one rule serves all customers."""


def print_case_study(
    summary: Mapping[str, Any], console: rich.console.Console | None = None
) -> None:
    """Prints the headline, each bank's gain, the cost of exchange, and a caution."""
    console = console or rich.console.Console()
    console.print()
    console.print(_headline(summary))
    if summary["gain"]:
        console.print(_gains(summary))
    if summary["to_99_percent"]:
        console.print(_exchange(summary))
    console.print(CAUTION)


def format_percent(value: Mapping[str, Any], *, sign: bool = False) -> str:
    """A share in percent with its interval's half width, or why there is none."""
    if value["mean"] is None:
        return f"n/a ({value['reason']})"
    text = f"{100 * value['mean']:{'+' if sign else ''}.1f}"
    if value["ci95"] is None:
        return text
    low, high = value["ci95"]
    return f"{text} ± {50 * (high - low):.1f}"


def _headline(summary: Mapping[str, Any]) -> rich.table.Table:
    config = summary["config"]
    table = _table(
        f"Scenario {config['scenario']}, heterogeneity {config['heterogeneity']:g}: "
        f"accuracy in % on test rows, mean of {len(summary['seeds'])} seeds ± half "
        "width of the 95 % interval",
        "own rows, mean of banks",
        "other banks' rows, mean of banks",
        "all rows",
        "AUC, all rows",
    )
    for name, method in summary["methods"].items():
        auc = method["pooled"]["auc"]["mean"]
        table.add_row(
            _label(name),
            format_percent(method["own_mean"]["accuracy"]),
            format_percent(method["others_mean"]["accuracy"]),
            format_percent(method["pooled"]["accuracy"]),
            "n/a" if auc is None else f"{auc:.4f}",
        )
    return table


def _gains(summary: Mapping[str, Any]) -> rich.table.Table:
    methods = [name for name in summary["methods"] if name != "local"]
    table = _table(
        "Gain over the bank's own model on its own customers, in points of accuracy",
        "training rows",
        "local accuracy",
        *[_label(name) for name in methods],
    )
    for bank, gains in summary["gain"].items():
        table.add_row(
            bank,
            f"{summary['institutions'][bank]['train_rows']:,}",
            format_percent(summary["methods"]["local"]["own"][bank]["accuracy"]),
            *[format_percent(gains[name]["accuracy"], sign=True) for name in methods],
        )
    return table


def _exchange(summary: Mapping[str, Any]) -> rich.table.Table:
    table = _table(
        "Until validation accuracy is 99 % of centralized training's",
        "rounds",
        "kB exchanged, all banks",
        "accuracy minus centralized, points",
    )
    for name, reach in summary["to_99_percent"].items():
        table.add_row(
            _label(name),
            _number(reach["rounds"]),
            _number(reach["bytes"], scale=1e-3),
            format_percent(summary["to_centralized"][name]["accuracy"], sign=True),
        )
    return table


def _label(method: str) -> str:
    return _LABELS.get(method, method)


def _number(value: Mapping[str, Any], *, scale: float = 1.0) -> str:
    if value["mean"] is None:
        return str(value["reason"])
    return f"{scale * value['mean']:,.0f}"


def _table(title: str, *columns: str) -> rich.table.Table:
    table = rich.table.Table(
        title=title, title_justify="left", title_style="bold", box=rich.box.SIMPLE_HEAD
    )
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table
