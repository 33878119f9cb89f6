"""Which training settings a search may vary, and over what: values from texts.

    client_learning_rate=0.01:1:log     a range, by its logarithm
    batch_size=32:512                   a range; of whole numbers where the setting is
    local_epochs=1,2,5                  choices
    hidden_units=32x16,64x32            choices of lists

A value knows its text form, so that results and errors name it as it was given.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tff_finance.records.training_config import TrainingConfig
from tff_finance.records.training_settings import replace_settings, setting_kinds

FORMS = "NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B,C"
_WITHIN = "x"  # between the numbers of one list


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range:
    """A number between two limits, both possible.

    Attributes:
        name: Of the setting.
        low: Lower limit.
        high: Upper limit, above it.
        log: Whether ratios count rather than differences.
        whole: Whether it is a whole number.
    """

    name: str
    low: float
    high: float
    log: bool
    whole: bool

    def __str__(self) -> str:
        """The text form."""
        log = ":log" if self.log else ""
        return f"{self.name}={_text(self.low)}:{_text(self.high)}{log}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choices:
    """One of several values.

    Attributes:
        name: Of the setting.
        texts: The values as texts, at least two, distinct.
        values: The values.
    """

    name: str
    texts: tuple[str, ...]
    values: tuple[Any, ...]

    def __str__(self) -> str:
        """The text form."""
        return f"{self.name}={','.join(self.texts)}"


Dimension = Range | Choices


def parse_search(texts: Sequence[str]) -> list[Dimension]:
    """Reads what a search may vary.

    Args:
        texts: One for each setting.

    Returns:
        The dimensions in order.

    Raises:
        ValueError: If a text has none of the forms, or if it names no setting that
            can be varied, or one twice.
    """
    if not texts:
        raise ValueError(f"a search needs at least one setting: {FORMS}")
    dimensions = []
    for text in texts:
        try:
            dimensions.append(_parse(text))
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from error
    names = [dimension.name for dimension in dimensions]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"each setting must be given once, {twice} is given twice")
    return dimensions


def first_values(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """A value of each setting that is varied: the first of choices, a lower limit."""
    return {dimension.name: _ends(dimension)[0] for dimension in dimensions}


def check_values(dimensions: Sequence[Dimension], training: TrainingConfig) -> None:
    """Refuses values that make no sense, beside the first ones of other settings.

    Args:
        dimensions: What is varied.
        training: The settings that aren't.

    Raises:
        ValueError: If a choice or a limit doesn't make sense for its setting.
    """
    first = first_values(dimensions)
    for dimension in dimensions:
        for value in _ends(dimension):
            try:
                replace_settings(training, first | {dimension.name: value})
            except ValueError as error:
                raise ValueError(f"'{dimension}': {error}") from error


def setting_text(value: Any) -> str:
    """A setting as its flag takes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else _text(value)


def _parse(text: str) -> Dimension:
    name, equals, values = text.partition("=")
    if not (equals and name and values):
        raise ValueError(f"must be {FORMS}")
    kind = _kind(name)
    return _range(name, values, kind) if ":" in values else _choices(name, values, kind)


def _ends(dimension: Dimension) -> tuple[Any, ...]:
    """The values that are tried before a search: those between the limits aren't."""
    if isinstance(dimension, Range):
        return dimension.low, dimension.high
    return dimension.values


def _kind(name: str) -> type:
    """The type of a setting's values."""
    kinds = setting_kinds()
    if name not in kinds:
        raise ValueError(
            f"{name} is no setting that can be varied, which are: {', '.join(kinds)}"
        )
    return kinds[name]


def _range(name: str, values: str, kind: Any) -> Range:
    if kind not in {int, float}:
        raise ValueError(f"{name} is no number: give choices, {name}=A,B")
    low_text, high_text, *scale = values.split(":")
    if scale not in ([], ["log"]):
        raise ValueError(f"a range must be LOW:HIGH or LOW:HIGH:log, got {values!r}")
    low, high = _value(low_text, kind), _value(high_text, kind)
    if not low < high:
        raise ValueError(f"a range must begin below its end, got {values!r}")
    if scale and low <= 0:
        raise ValueError(f"a range by its logarithm must begin above 0, got {values!r}")
    return Range(name=name, low=low, high=high, log=bool(scale), whole=kind is int)


def _choices(name: str, values: str, kind: Any) -> Choices:
    texts = tuple(values.split(","))
    parsed = tuple(_value(text, kind) for text in texts)
    if len(set(parsed)) < max(len(parsed), 2):
        raise ValueError(f"choices must be at least two and distinct, got {values!r}")
    return Choices(name=name, texts=texts, values=parsed)


def _value(text: str, kind: Any) -> Any:
    if kind is str:
        return text
    if kind is tuple:
        return tuple(_value(part, int) for part in text.split(_WITHIN))
    wanted = "a whole number" if kind is int else "a number"
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(f"must be {wanted}, got {text!r}") from None
    if not math.isfinite(value):
        raise ValueError(f"must be {wanted}, got {text!r}")
    return value


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
