"""The comparison as text, from `summary.json` alone."""

from collections.abc import Iterator, Mapping
from typing import Any

import rich.box
import rich.console
import rich.table

_LABELS = {
    "local": "local, each bank alone",
    "fed_avg": "FedAvg",
    "fed_sgd": "FedSGD",
    "centralized": "centralized, rows pooled",
    "gradient_boosting": "gradient boosting, pooled",
    "fed_prox": "FedProx",
    "scaffold": "SCAFFOLD",
    "fed_avgm": "FedAvgM",
    "fed_adagrad": "FedAdagrad",
    "fed_adam": "FedAdam",
    "fed_yogi": "FedYogi",
    "fed_buff": "FedBuff, asynchronous",
    "fine_tuned": "FedAvg, fine-tuned",
    "fed_per": "FedPer, own heads",
    "fed_md": "FedMD, by predictions",
    "fed_avg_quantized": "FedAvg, quantized",
    "fed_avg_top_k": "FedAvg, top-k",
    "fed_avg_tff_compressed": "FedAvg, TFF's 8 bits",
    "fed_avg_dp_sgd": "FedAvg, DP-SGD",
    "fed_avg_poisson": "FedAvg, as DP-SGD, not private",
    "fed_avg_secure": "FedAvg, secure sums",
    "fed_avg_branches": "FedAvg of branches",
    "dp_fed_avg": "DP-FedAvg of branches",
    "dp_fed_avg_adaptive": "DP-FedAvg, adaptive clipping",
    "dp_ftrl": "DP-FTRL of branches",
    "dp_fed_avg_distributed": "DP-FedAvg, distributed noise",
}

_CONTRIBUTIONS = {"shapley": "Shapley value", "leave_one_out": "leave-one-out"}

_POPULATION = (
    "The population is synthetic and ours, made to examine a published claim; it says "
    "nothing about any real bank's customers."
)


def print_case_study(
    summary: Mapping[str, Any], console: rich.console.Console | None = None
) -> None:
    """Prints headline, gain per bank, cost of exchange, and what to make of it.

    Args:
        summary: The content of `summary.json`.
        console: Where to; standard output if None.
    """
    console = console or rich.console.Console(highlight=False)
    config = summary["config"]
    seeds = len(summary["seeds"])
    console.print(
        f"\nScenario {config['scenario']}, heterogeneity {config['heterogeneity']:g}; "
        f"mean of {seeds} seed{'s' if seeds > 1 else ''} ± half width of the 95 % "
        "interval over seeds. n/a: summary.json gives the reason.\n"
    )
    console.print(_headline(summary))
    for note in privacy_notes(summary):
        console.print(note)
    if summary["gain"]:
        console.print(_gains(summary))
    if summary["to_99_percent"]:
        console.print(_exchange(summary))
    if summary["contribution"]:
        console.print(contribution_table(summary["contribution"]))
    for note in training_notes(summary):
        console.print(note)
    console.print(f"{_POPULATION} {summary['scenario']['description']}")


def format_percent(value: Mapping[str, Any], *, sign: bool = False) -> str:
    """A share in percent, with half the width of its interval if it has one."""
    if value["mean"] is None:
        return "n/a"
    text = f"{100 * value['mean']:{'+' if sign else ''}.1f}"
    if value["ci95"] is None:
        return text
    low, high = value["ci95"]
    return f"{text} ± {50 * (high - low):.1f}"


def _headline(summary: Mapping[str, Any]) -> rich.table.Table:
    table = new_table(
        "Accuracy in % on test rows",
        "own rows",
        "other banks'",
        "all rows",
        "AUC, all",
    )
    table.caption = "own rows, other banks': mean over the banks"
    for name, method in summary["methods"].items():
        auc = method["pooled"]["auc"]["mean"]
        table.add_row(
            label(name),
            format_percent(method["own_mean"]["accuracy"]),
            format_percent(method["others_mean"]["accuracy"]),
            format_percent(method["pooled"]["accuracy"]),
            "n/a" if auc is None else f"{auc:.4f}",
        )
    return table


def _gains(summary: Mapping[str, Any]) -> rich.table.Table:
    banks = list(summary["gain"])
    table = new_table(
        "What each bank gains on its own customers: accuracy minus that of its own "
        "model, in points",
        *banks,
    )
    rows = [f"{summary['institutions'][bank]['train_rows']:,}" for bank in banks]
    table.add_row("training rows", *rows)
    own = summary["methods"]["local"]["own"]
    table.add_row(
        "accuracy of its own model, %",
        *[format_percent(own[bank]["accuracy"]) for bank in banks],
    )
    for name in summary["methods"]:
        if name != "local":
            gains = [summary["gain"][bank][name]["accuracy"] for bank in banks]
            table.add_row(label(name), *[format_percent(g, sign=True) for g in gains])
    return table


def _exchange(summary: Mapping[str, Any]) -> rich.table.Table:
    table = new_table(
        "Exchange until validation accuracy is 99 % of centralized training's, and "
        "accuracy on all rows at the end, in points",
        "seeds",
        "median rounds",
        "median kB, all banks",
        "end minus centralized",
    )
    for name, reach in summary["to_99_percent"].items():
        table.add_row(
            label(name),
            f"{reach['seeds_reached']} of {len(summary['seeds'])}",
            _number(reach["rounds"]["median"]),
            _number(reach["bytes"]["median"], scale=1e-3),
            format_percent(summary["to_centralized"][name]["accuracy"], sign=True),
        )
    return table


def contribution_table(contribution: Mapping[str, Any]) -> rich.table.Table:
    """What each institution contributes to the AUC on all rows.

    Args:
        contribution: That of `summary.json`; not null.

    Returns:
        A line for each institution; after ± half the interval, or the standard
        deviation over seeds of real tables.
    """
    kinds = [kind for kind in _CONTRIBUTIONS if contribution[kind]]
    table = new_table(
        f"What each institution contributes to the AUC of "
        f"{label(contribution['method'])} on all rows, times 100",
        *[_CONTRIBUTIONS[kind] for kind in kinds],
    )
    for name in contribution["leave_one_out"]["pooled"]:
        values = [contribution[kind]["pooled"][name] for kind in kinds]
        table.add_row(name, *map(_format_contribution, values))
    if stopped := contribution["runs_stopped_at_maximum"]:
        table.caption = (
            f"{stopped} of {contribution['runs']} trainings of coalitions ended at the "
            "most rounds allowed, still improving"
        )
    return table


def _format_contribution(value: Mapping[str, Any]) -> str:
    if value["mean"] is None:
        return "n/a"
    text = f"{100 * value['mean']:+.2f}"
    if value.get("ci95") is not None:
        low, high = value["ci95"]
        return f"{text} ± {50 * (high - low):.2f}"
    spread = value.get("over_seeds", {}).get("sd")
    return text if spread is None else f"{text} ± {100 * spread:.2f}"


def privacy_notes(summary: Mapping[str, Any]) -> Iterator[str]:
    """What methods promise, with the unit that it is promised for."""
    for name, method in summary["methods"].items():
        if privacy := method["privacy"]:
            yield (
                f"{label(name)}: epsilon at most {privacy['epsilon']:.2f}, delta "
                f"{privacy['delta']:.2g}, {privacy['unit_in_words']}. summary.json "
                "says against whom, and what isn't covered.\n"
            )


def training_notes(summary: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know before believing a method's numbers."""
    for name, method in summary["methods"].items():
        stopped, excluded = (
            method["runs_stopped_at_maximum"],
            method["non_finite_updates"],
        )
        if stopped and name != "gradient_boosting":
            yield (
                f"{label(name)}: {stopped} of {method['runs']} runs ended at the most "
                "rounds allowed, still improving."
            )
        if excluded:
            yield f"{label(name)}: {excluded} updates were not finite and left out."


def label(method: str) -> str:
    """What tables call a method."""
    return _LABELS.get(method, method)


def _number(value: float | None, *, scale: float = 1.0) -> str:
    return "n/a" if value is None else f"{scale * value:,.0f}"


def new_table(title: str, *columns: str) -> rich.table.Table:
    """A table whose first column names its rows."""
    table = rich.table.Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        box=rich.box.SIMPLE_HEAD,
    )
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table
