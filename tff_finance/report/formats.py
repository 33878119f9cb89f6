"""Values of a summary as text: mean and 95 % interval, or that there is none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tff_finance.report.catalogue import Words

_MOST_POINT_DIGITS = 3


def share(value: Mapping[str, Any], words: Words) -> str:
    """A share of 1 in percent with its interval."""
    return _text(value, words, scale=100, digits=1, unit="%")


def points(value: Mapping[str, Any], words: Words) -> str:
    """A signed difference of shares in percentage points with its interval."""
    digits = _point_digits(value.get("ci95") or ())
    return _text(value, words, scale=100, digits=digits, sign=True)


def points_interval(limits: Sequence[float], words: Words) -> str:
    """The interval of a difference of shares in percentage points."""
    digits = _point_digits(limits)
    return _span([words.number(100 * x, digits, sign=True) for x in limits], words)


def plain(
    value: Mapping[str, Any], words: Words, *, digits: int = 3, sign: bool = False
) -> str:
    """Any number with its interval."""
    return _text(value, words, digits=digits, sign=sign)


def small(probability: float) -> str:
    """A small probability, such as 1e-5."""
    return f"{probability:.2g}".replace("e-0", "e-")


def join(words: Words, *sentences: str) -> str:
    """Sentences, with a space between them where the language has one."""
    first, *others = [sentence for sentence in sentences if sentence]
    for sentence in others:
        first = words.say("%(first)s %(second)s", first=first, second=sentence)
    return first


def undefined(words: Words) -> str:
    """What stands for a value that does not exist."""
    return words.say("n/a")


def includes_zero(value: Mapping[str, Any]) -> bool:
    """Whether a difference may be none: its interval has 0, or there is none."""
    if value.get("ci95") is None:
        return True
    low, high = value["ci95"]
    return low <= 0 <= high


def together(values: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What a summary says of several differences at once; nothing without intervals."""
    return [value["simultaneous"] for value in values if "simultaneous" in value]


def excluding_zero(values: Iterable[Mapping[str, Any]]) -> int:
    """How many differences have an interval without 0."""
    return sum(not includes_zero(value) for value in values)


def flat_together(value: Mapping[str, Any]) -> dict[str, float | None]:
    """The interval that holds together with others as columns of a CSV file."""
    low, high = value.get("simultaneous", {}).get("ci95") or (None, None)
    return {"together_ci95_low": low, "together_ci95_high": high}


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
    if value.get("ci95") is None:
        return words.say("%(mean)s (no interval)", mean=mean)
    interval = _span([number(limit) for limit in value["ci95"]], words)
    return words.say("%(mean)s (%(interval)s)", mean=mean, interval=interval)


def _span(limits: Sequence[str], words: Words) -> str:
    """An interval; lines break before it, not in it."""
    return words.span(*limits).replace(" ", "\N{NO-BREAK SPACE}")


def _point_digits(limits: Sequence[float]) -> int:
    """Digits of percentage points: more where a limit other than 0 would read as 0."""
    return next(
        digits
        for digits in (1, 2, 3)
        if digits == _MOST_POINT_DIGITS
        or all(limit == 0 or round(100 * limit, digits) for limit in limits)
    )
