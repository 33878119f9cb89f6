"""Reason codes: the columns that speak most against a customer.

A column's contribution is the sum over its encoded features, so that indicators of
one code, or a number and its indicator of missing values, are one reason. Only
columns that raise the logit of label 1 above the reference's are reasons.
"""

import dataclasses

import numpy as np
import pandas as pd

from tff_finance import checks
from tff_finance.evaluation.attributions import IntegratedGradients
from tff_finance.evaluation.saved_model import SavedModel
from tff_finance.records.growing_table import ColumnType

REFERENCE = (
    "the mean of all institutions' encoded training rows: of numbers their mean after "
    "the contract's transform, of codes the share of rows that have them"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explained:
    """Reason codes of some rows.

    Attributes:
        table: The columns of `ReasonCodes.columns`.
        largest_residual: The most that a row's contributions miss of its logit's
            difference from the reference's.
        incomplete: Rows of which they miss more than the tolerance.
    """

    table: pd.DataFrame
    largest_residual: float
    incomplete: int


class ReasonCodes:
    """Explains scores of encoded rows."""

    def __init__(
        self, model: SavedModel, *, count: int, all_contributions: bool = False
    ) -> None:
        """Prepares the explanation.

        Args:
            model: Whose scores are explained, against its own reference.
            count: Most reasons of a row.
            all_contributions: Whether every column's contribution is given too.

        Raises:
            ValueError: If `count` is below 1.
        """
        checks.check_at_least("count", count, 1)
        self._explain = IntegratedGradients(model.network, model.reference)
        contract = model.encoder.contract
        self._names = np.array([column.name for column in contract.features], object)
        self._descriptions = np.array(
            [column.description for column in contract.features], object
        )
        place = {name: i for i, name in enumerate(self._names)}
        self._column_of = np.array([place[n] for n in model.encoder.feature_columns])
        self._count = min(count, len(self._names))
        self._all = all_contributions

    @property
    def reference_logit(self) -> float:
        """The logit that contributions start from."""
        return self._explain.reference_logit

    @property
    def columns(self) -> dict[str, ColumnType]:
        """Types of the columns of reason codes, by name."""
        columns: dict[str, ColumnType] = {}
        for number in range(1, self._count + 1):
            columns |= {
                f"reason_{number}": "text",
                f"reason_{number}_description": "text",
                f"reason_{number}_contribution": "number",
            }
        if self._all:
            columns |= {f"contribution:{name}": "number" for name in self._names}
        columns["contribution_residual"] = "number"
        return columns

    def __call__(self, x: np.ndarray) -> Explained:
        """Explains rows.

        Args:
            x: Encoded rows, float32[n, features].

        Returns:
            Their reason codes.
        """
        attributions = self._explain(x)
        contributions = np.zeros([len(x), len(self._names)])
        np.add.at(contributions.T, self._column_of, attributions.contributions.T)
        order = np.argsort(-contributions, axis=1, kind="stable")[:, : self._count]
        table: dict[str, pd.Series] = {}
        for number, column in enumerate(order.T, start=1):
            value = pd.Series(contributions[np.arange(len(x)), column])
            adverse = value > 0
            name = f"reason_{number}"
            description = pd.Series(self._descriptions[column], dtype=object)
            table[name] = pd.Series(self._names[column], dtype=object).where(adverse)
            table[f"{name}_description"] = description.where(adverse)
            table[f"{name}_contribution"] = value.where(adverse)
        if self._all:
            for name, values in zip(self._names, contributions.T, strict=True):
                table[f"contribution:{name}"] = pd.Series(values)
        table["contribution_residual"] = pd.Series(attributions.residual)
        return Explained(
            table=pd.DataFrame(table),
            largest_residual=float(np.abs(attributions.residual).max(initial=0.0)),
            incomplete=int((~attributions.complete).sum()),
        )
