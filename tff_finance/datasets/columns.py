"""Columns of a feature contract: what they mean and which values are allowed."""

import dataclasses
import math
from typing import ClassVar, Literal, get_args

from tff_finance import checks

Transform = Literal["identity", "log1p", "signed_log1p"]
Use = Literal["feature", "audit"]
# The category that rows without a value get where the contract allows them.
MISSING = "missing"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """A column of numbers.

    Attributes:
        name: Column name in the table.
        unit: What one unit of the value is, for example "EUR per year".
        description: What the column says about a customer.
        minimum: Smallest allowed value.
        maximum: Largest allowed value.
        allow_missing: Whether a value may be missing (NaN). The encoder then
            adds an indicator, so that a model can tell missing from average.
        missing_values: Values that mean "missing" in the tables, in the tables'
            own unit: numbers, or texts in files that write it as text.
        transform: Applied before standardisation; agreed in the contract, not
            fitted. "log1p" suits amounts with a long tail, "signed_log1p",
            `sign(v) log(1 + |v|)`, amounts that may also be negative.
        protected: Whether it is a protected attribute, by which models are
            judged for fairness.
        use: "feature", or "audit": kept for reporting, unseen by models.
    """

    name: str
    unit: str
    description: str
    minimum: float
    maximum: float
    allow_missing: bool = False
    missing_values: tuple[float | str, ...] = ()
    transform: Transform = "identity"
    protected: bool = False
    use: Use = "feature"
    kind: ClassVar[str] = "numeric"

    def __post_init__(self) -> None:
        """Refuses an empty range, and one in which the transform is undefined."""
        if not self.minimum <= self.maximum:
            raise ValueError(
                f"`minimum` of column {self.name!r} must not exceed `maximum`, got "
                f"{self.minimum} and {self.maximum}."
            )
        if math.isinf(self.minimum) or math.isinf(self.maximum):
            raise ValueError(
                f"`minimum` and `maximum` of column {self.name!r} must be finite, got "
                f"{self.minimum} and {self.maximum}: name the widest range that you "
                "would believe."
            )
        checks.check_one_of("transform", self.transform, get_args(Transform))
        if self.transform == "log1p" and self.minimum <= -1:
            raise ValueError(
                f"`minimum` of column {self.name!r} must exceed -1 for log1p, "
                f"got {self.minimum}."
            )
        _check_use(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CategoricalColumn:
    """A column of codes, compared by their text.

    Attributes:
        name: Column name in the table.
        description: What the column says about a customer.
        categories: All values that the institutions agreed on.
        allow_missing: Whether a value may be missing. It then is a category of
            its own, "missing", in validated tables and for the encoder.
        missing_values: Codes that mean "missing" in the tables.
        protected: Whether it is a protected attribute, by which models are
            judged for fairness.
        use: "feature", or "audit": kept for reporting, unseen by models.
    """

    name: str
    description: str
    categories: tuple[str, ...]
    allow_missing: bool = False
    missing_values: tuple[str, ...] = ()
    protected: bool = False
    use: Use = "feature"
    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        """Refuses categories that are missing or named twice."""
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise ValueError(
                f"`categories` of column {self.name!r} must be distinct values, got "
                f"{self.categories}."
            )
        if self.allow_missing and MISSING in self.categories:
            raise ValueError(
                f"`categories` of column {self.name!r} must not name {MISSING!r}, "
                "which rows without a value get: name it in `missing_values`."
            )
        if both := sorted(set(self.categories) & set(self.missing_values)):
            raise ValueError(
                f"`missing_values` of column {self.name!r} must not be categories, "
                f"got {', '.join(both)}."
            )
        _check_use(self)

    @property
    def levels(self) -> tuple[str, ...]:
        """Values of a validated table: the categories, and "missing" if allowed."""
        return (*self.categories, MISSING) if self.allow_missing else self.categories


Column = NumericColumn | CategoricalColumn


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelColumn:
    """The column of labels.

    Attributes:
        name: Column name in the table.
        positive: The tables' value for label 1: an integer, compared as a
            number, or a text, compared with the value's text.
        negative: The tables' value for label 0.
    """

    name: str
    positive: int | str = 1
    negative: int | str = 0

    def __post_init__(self) -> None:
        """Refuses values that can't be told apart or compared."""
        pair = (self.positive, self.negative)
        are_texts = [isinstance(value, str) for value in pair]
        if any(isinstance(value, bool) for value in pair) or len(set(are_texts)) > 1:
            raise ValueError(
                "`positive` and `negative` of the label must be two integers or two "
                f"texts, got {self.positive!r} and {self.negative!r}; truth values "
                "compare as 1 and 0."
            )
        if self.positive == self.negative:
            raise ValueError(
                "`positive` and `negative` of the label must differ, got "
                f"{self.positive!r} twice."
            )


def _check_use(column: Column) -> None:
    checks.check_one_of("use", column.use, get_args(Use))
