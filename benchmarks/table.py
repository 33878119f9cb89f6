"""The table of a side-by-side run."""

from collections.abc import Sequence
from typing import Any

from tff_finance.checks import RunFailedError

_TOLERANCE = 1e-3
_COLUMNS = ("contestant", "s / round", "x stock", "start-up s", "MiB", "final loss")


def side_by_side(results: Sequence[dict[str, Any]], *, rounds: int) -> str:
    """Formats the results of one workload, one line each.

    Args:
        results: Fields of `Measurement`, and `contestant`.
        rounds: Rounds that each ran.

    Returns:
        A Markdown table; `x stock` says how many times faster than TFF's own.
    """
    stock = next(
        (r["sec_per_round"] for r in results if r["contestant"] == "stock"), None
    )
    lines = [
        f"{results[0]['workload']}, {rounds} rounds",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "|---" + "|---:" * (len(_COLUMNS) - 1) + "|",
    ]
    for result in results:
        faster = f"{stock / result['sec_per_round']:.1f}" if stock else ""
        cells = (
            result["contestant"],
            f"{result['sec_per_round']:.4f}",
            faster,
            f"{result['startup_s']:.1f}",
            f"{result['peak_rss_mb']:,.0f}",
            f"{result['final_loss']:.6f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def check_same_work(results: Sequence[dict[str, Any]]) -> None:
    """Refuses a comparison of contestants that computed different things.

    Args:
        results: Of one workload.

    Raises:
        RunFailedError: If their final losses differ by more than 0.001.
    """
    losses = {result["contestant"]: result["final_loss"] for result in results}
    if not max(losses.values()) - min(losses.values()) <= _TOLERANCE:
        raise RunFailedError(
            "contestants didn't do the same work: their final losses differ by more "
            f"than {_TOLERANCE}: {losses}"
        )
