"""A split's periods as whole days, for preparations that depend on them."""

from tff_finance.institutions.split import Split
from tff_finance.institutions.time_split import PeriodSplit


def day_periods(split: Split, column: str) -> tuple[range, range, range]:
    """The days of train, validation and test.

    Args:
        split: Periods of whole days, such as
            `periods:TX_TIME_DAYS:115..122,101..108,129..136`, the Handbook's weeks.
        column: Column of days that it must split by.

    Returns:
        Days of train, validation and test.

    Raises:
        ValueError: If the split is another.
    """
    if not isinstance(split, PeriodSplit) or split.column != column:
        raise ValueError(
            f"`split` must be `periods:{column}:FROM..TO,FROM..TO,FROM..TO` for train, "
            f"validation and test, got {str(split)!r}."
        )
    train, validation, test = (
        range(_day(start, column), _day(end, column)) for start, end in split.periods
    )
    return train, validation, test


def _day(text: str, column: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(
            f"`split` must have whole days of {column}, got {text!r}."
        ) from error
