"""Values of a summary as text: mean and 95 % interval, or that there is none."""

from collections.abc import Mapping
from typing import Any

from tff_finance.report.catalogue import Words


def share(value: Mapping[str, Any], words: Words) -> str:
    """A share of 1 in percent with its interval."""
    return _text(value, words, scale=100, digits=1, unit="%")


def points(value: Mapping[str, Any], words: Words) -> str:
    """A signed difference of shares in percentage points with its interval."""
    return _text(value, words, scale=100, digits=1, sign=True)


def plain(value: Mapping[str, Any], words: Words, *, digits: int = 3) -> str:
    """Any number with its interval."""
    return _text(value, words, digits=digits)


def undefined(words: Words) -> str:
    """What stands for a value that does not exist."""
    return words.say("n/a")


def includes_zero(value: Mapping[str, Any]) -> bool:
    """Whether a difference may be none: its interval has 0, or there is none."""
    if value.get("ci95") is None:
        return True
    low, high = value["ci95"]
    return low <= 0 <= high


def flat(value: Mapping[str, Any]) -> dict[str, float | str | None]:
    """Mean, interval and reason as columns of a CSV file."""
    low, high = value.get("ci95") or (None, None)
    return {
        "mean": value["mean"],
        "ci95_low": low,
        "ci95_high": high,
        "reason": value.get("reason", ""),
    }


def _text(
    value: Mapping[str, Any],
    words: Words,
    *,
    scale: float = 1.0,
    digits: int,
    sign: bool = False,
    unit: str = "",
) -> str:
    if value["mean"] is None:
        return undefined(words)

    def number(x: float) -> str:
        return words.number(scale * x, digits, sign=sign)

    mean = number(value["mean"])
    if unit:
        mean = words.percent(value["mean"], digits)
    if value["ci95"] is None:
        return mean
    # Lines break before an interval, not in it.
    interval = words.span(*map(number, value["ci95"]))
    interval = interval.replace(" ", "\N{NO-BREAK SPACE}")
    return words.say("%(mean)s (%(interval)s)", mean=mean, interval=interval)
