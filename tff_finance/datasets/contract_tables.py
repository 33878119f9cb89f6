"""The tables of a contract file: their keys, types and defaults."""

from typing import Annotated, Literal, Union

import pydantic

from tff_finance.datasets.columns import (
    CategoricalColumn,
    NumericColumn,
    Transform,
    Use,
)
from tff_finance.datasets.contract import Contract
from tff_finance.datasets.institution_format import InstitutionFormat


class Table(pydantic.BaseModel):
    """A table of the file: no unknown key, no value of another type."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class LabelTable(Table):
    """`[label]`."""

    column: str
    meaning: str
    positive: int | str = 1
    negative: int | str = 0


class NumericTable(Table):
    """`[[columns]]` of kind numeric."""

    kind: Literal["numeric"]
    name: str
    unit: str
    description: str
    minimum: float
    maximum: float
    missing: Literal["refuse", "indicator"] = "refuse"
    missing_values: list[int | float | str] = []
    transform: Transform = "identity"
    protected: bool = False
    use: Use = "feature"

    @pydantic.model_validator(mode="after")
    def _makes_sense(self) -> "NumericTable":
        self.column()
        return self

    def column(self) -> NumericColumn:
        """The column; raises ValueError if it makes no sense."""
        options = self.model_dump(exclude={"kind", "missing", "missing_values"})
        return NumericColumn(
            **options,
            allow_missing=self.missing == "indicator",
            missing_values=tuple(self.missing_values),
        )


class CategoricalTable(Table):
    """`[[columns]]` of kind categorical."""

    kind: Literal["categorical"]
    name: str
    description: str
    categories: list[str]
    missing: Literal["refuse", "category"] = "refuse"
    missing_values: list[str] = []
    protected: bool = False
    use: Use = "feature"

    @pydantic.model_validator(mode="after")
    def _makes_sense(self) -> "CategoricalTable":
        self.column()
        return self

    def column(self) -> CategoricalColumn:
        """The column; raises ValueError if it makes no sense."""
        options = self.model_dump(
            exclude={"kind", "missing", "missing_values", "categories"}
        )
        return CategoricalColumn(
            **options,
            categories=tuple(self.categories),
            allow_missing=self.missing == "category",
            missing_values=tuple(self.missing_values),
        )


class ForbiddenTable(Table):
    """`[[forbidden]]`."""

    name: str
    reason: str


class FileTable(Table):
    """`[institutions.NAME.file]`."""

    separator: str | None = pydantic.Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."


class InstitutionTable(Table):
    """`[institutions.NAME]`."""

    rename: dict[str, str] = {}
    factor: dict[str, float] = {}
    codes: dict[str, dict[str, str]] = {}
    file: FileTable = FileTable()
    label_meaning: str = ""

    def form(self) -> InstitutionFormat:
        """The institution's format."""
        return InstitutionFormat(
            rename=self.rename,
            factor=self.factor,
            codes=self.codes,
            separator=self.file.separator,
            decimal=self.file.decimal,
            label_meaning=self.label_meaning,
        )


ColumnTable = Annotated[
    Union[NumericTable, CategoricalTable],  # noqa: UP007
    pydantic.Field(discriminator="kind"),
]


class ContractTable(Table):
    """The whole file."""

    name: str
    label: LabelTable
    columns: list[ColumnTable]
    forbidden: list[ForbiddenTable] = []
    institutions: dict[str, InstitutionTable] = {}

    @pydantic.model_validator(mode="after")
    def _forbids_once(self) -> "ContractTable":
        names = [table.name for table in self.forbidden]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"`forbidden` names {', '.join(twice)} more than once.")
        return self

    def contract(self) -> Contract:
        """The contract of the file; raises ValueError if it contradicts itself."""
        return Contract(
            name=self.name,
            columns=tuple(table.column() for table in self.columns),
            label=self.label.column,
            label_meaning=self.label.meaning,
            positive=self.label.positive,
            negative=self.label.negative,
            forbidden={table.name: table.reason for table in self.forbidden},
            formats={name: t.form() for name, t in self.institutions.items()},
        )
