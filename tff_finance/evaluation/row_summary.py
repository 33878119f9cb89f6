"""Summaries of values and differences whose intervals are over test rows."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tff_finance.evaluation.across_seeds import over_seeds
from tff_finance.evaluation.bootstrap import PairedDifference
from tff_finance.metrics.values import Undefined, Value
from tff_finance.records.run_rows import BootstrapRow

_NONE_COMPUTED = "no interval over test rows is computed for this value"


class Cell(NamedTuple):
    """A value of a summary: whose, against what, on which rows.

    Attributes:
        method: Name of the method.
        reference: The method whose value is taken off; empty for the value itself.
        scope: "pooled", "own" or "others".
        institution: Whose rows; empty if pooled.
        metric: Name of the metric.
    """

    method: str
    reference: str
    scope: str
    institution: str
    metric: str


class RowIntervals:
    """A record's intervals over test rows, by cell and seed; False if none."""

    def __init__(self, rows: Iterable[BootstrapRow]) -> None:
        self._cells: dict[Cell, dict[int, BootstrapRow]] = {}
        for row in rows:
            cell = Cell(
                row.method, row.reference, row.scope, row.institution, row.metric
            )
            self._cells.setdefault(cell, {})[row.seed] = row

    def __bool__(self) -> bool:
        """Whether the record has any."""
        return bool(self._cells)

    def summarize(
        self,
        values: Mapping[int, float | None],
        cell: Cell | None,
        *,
        reason: str,
        few_rows: str,
    ) -> dict[str, Any]:
        """A cell over seeds, as `DifferenceOverSeeds.to_json` has it.

        Args:
            values: By seed, as the record's metrics have them; None if undefined.
            cell: Where intervals are looked up; None if there can't be any.
            reason: Why a value is undefined.
            few_rows: Why there is no interval, if rows are too few for one.

        Returns:
            The mean, the interval over test rows if the cell has one under every
            seed, and the spread over seeds.
        """
        rows = self._cells.get(cell, {}) if cell else {}
        by_seed = {
            seed: _difference(value, rows.get(seed), reason, few_rows)
            for seed, value in values.items()
        }
        return over_seeds(by_seed).to_json()


def _difference(
    value: float | None, row: BootstrapRow | None, reason: str, few_rows: str
) -> PairedDifference:
    difference: Value = Undefined(reason or "undefined") if value is None else value
    ci95 = Undefined(few_rows or _NONE_COMPUTED)
    if row and row.low is not None and row.high is not None:
        ci95 = (row.low, row.high)
    elif row:
        ci95 = Undefined(row.reason)
    return PairedDifference(
        difference=difference,
        ci95=ci95,
        rows=row.rows if row else 0,
        units=row.units if row else 0,
        resamples=row.resamples if row else 0,
    )
