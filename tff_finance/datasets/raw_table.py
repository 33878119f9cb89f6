"""A table as an institution wrote it, named on the command line."""

import dataclasses
import pathlib

from tff_finance.datasets.contract import Contract
from tff_finance.datasets.reading import column_names, feature_file_columns

ROW = "row"
"""Column of scores that holds the number of a row, counted from 1."""

_TAKEN = (ROW, "probability", "logit")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawTable:
    """A table that has not been checked.

    Attributes:
        path: A file as `read_table` reads it.
        institution: Whose format it has; "" for the contract's own.
        id_column: Its column that identifies rows; "" for none.
    """

    path: pathlib.Path
    institution: str = ""
    id_column: str = ""

    def check_id_column(self, contract: Contract) -> None:
        """Raises ValueError if there is no such column, or if it is a feature."""
        form = contract.format_of(self.institution)
        if not self.id_column:
            return
        names = column_names(self.path, separator=form.separator)
        if self.id_column not in names:
            raise ValueError(
                f"`id_column` must be a column of {self.path}, got "
                f"{self.id_column!r}; there are {', '.join(names)}."
            )
        features = feature_file_columns(contract, self.institution)
        if self.id_column in {column.name for column in features}:
            raise ValueError(
                f"`id_column` {self.id_column!r} is a feature: name a column that "
                "identifies rows, or none; rows are numbered."
            )
        if self.id_column in _TAKEN:
            raise ValueError(
                f"`id_column` {self.id_column!r} is the name of a column of scores: "
                "rename it in the table."
            )
