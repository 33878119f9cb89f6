"""Scoring raw tables with a saved model, in memory that doesn't grow with them.

Each row is checked against the contract. A table with a row that breaks it is
scored without that row if the caller says so, and else not at all; the rows left
out are listed with what is wrong with them. No row is scored as something else.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from tff_finance.datasets.code_texts import code_texts
from tff_finance.datasets.contract import ContractError
from tff_finance.datasets.raw_table import ROW, RawTable
from tff_finance.datasets.reading import (
    FileColumn,
    column_names,
    feature_file_columns,
    read_parts,
)
from tff_finance.datasets.screening import FaultTally, Screened
from tff_finance.evaluation.reason_codes import ReasonCodes
from tff_finance.evaluation.saved_model import SavedModel
from tff_finance.records.growing_table import ColumnType, growing_table

_ROWS_PER_PART = 65_536
_Append = Callable[[pd.DataFrame], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a table.

    Attributes:
        scored: Number of rows scored.
        left_out: Number of rows that break the contract.
        faults: What is wrong with these, one line per column and broken rule.
        largest_residual: The most that contributions miss of a difference of
            logits; 0 without reason codes.
        incomplete: Rows of which they miss more than the tolerance.
    """

    scored: int
    left_out: int
    faults: tuple[str, ...]
    largest_residual: float
    incomplete: int


def score_table(
    model: SavedModel,
    table: RawTable,
    output: pathlib.Path,
    *,
    reason_codes: ReasonCodes | None = None,
    left_out: pathlib.Path | None = None,
    rows_per_part: int = _ROWS_PER_PART,
) -> Outcome:
    """Scores a table's rows.

    Args:
        model: The model.
        table: The rows; they need no label.
        output: File for the scores, .csv or .parquet: the identifier if there is
            one, the row's number from 1, probability and logit of label 1, and
            reason codes. In the order of the table.
        reason_codes: Explains scores; None leaves it.
        left_out: File for the rows that break the contract, with the reasons; None
            refuses a table that has any.
        rows_per_part: Rows in memory at a time.

    Returns:
        What became of the rows.

    Raises:
        ContractError: If a column is missing, or if a row breaks the contract and
            `left_out` is None; lists all faults. No file is written then.
        TableFileError: If the table can't be read.
        ValueError: If the identifier can't be one.
        OSError: If a file can't be written.
    """
    contract = model.encoder.contract
    table.check_id_column(contract)
    identifier: dict[str, ColumnType] = {}
    if table.id_column:
        identifier[table.id_column] = "text"
    columns: dict[str, ColumnType] = {
        **identifier,
        ROW: "integer",
        "probability": "number",
        "logit": "number",
        **(reason_codes.columns if reason_codes else {}),
    }
    listed: dict[str, ColumnType] = {**identifier, ROW: "integer", "faults": "text"}
    job = _Job(model, table, reason_codes)
    with contextlib.ExitStack() as stack:
        append = stack.enter_context(growing_table(output, columns))
        report: _Append | None = None
        if left_out:
            report = stack.enter_context(growing_table(left_out, listed))
        for raw, screened in job.parts(rows_per_part):
            if report:
                report(job.reasons(raw, screened))
            if report or not job.left_out:
                append(job.scores(raw, screened))
        if job.left_out and not report:
            raise ContractError(
                table.institution, contract.name, job.faults, source=str(table.path)
            )
    return job.outcome()


class _Job:
    """The parts of one table on their way through the model."""

    def __init__(
        self, model: SavedModel, table: RawTable, reason_codes: ReasonCodes | None
    ) -> None:
        self._model = model
        self._table = table
        self._reason_codes = reason_codes
        self._tally = FaultTally()
        self._rows_before = 0
        self._scored = 0
        self._residual = 0.0
        self._incomplete = 0
        self.left_out = 0

    def parts(self, rows: int) -> Iterator[tuple[pd.DataFrame, Screened]]:
        """Each part of the table, raw and screened."""
        contract, institution = self._model.encoder.contract, self._table.institution
        form = contract.format_of(institution)
        names = column_names(self._table.path, separator=form.separator)
        columns = feature_file_columns(contract, institution)
        if self._table.id_column:
            columns += (FileColumn(name=self._table.id_column, kind="text"),)
        for raw in read_parts(
            self._table.path,
            columns,
            separator=form.separator,
            decimal=form.decimal,
            rows=rows,
        ):
            try:
                screened = contract.screen(
                    raw, institution=institution, other_columns=names
                )
            except ContractError as error:
                raise ContractError(
                    institution,
                    contract.name,
                    error.faults,
                    source=str(self._table.path),
                ) from None
            self._tally.add(screened.faults, rows_before=self._rows_before)
            self.left_out += int((~screened.kept).sum())
            yield raw, screened
            self._rows_before += len(raw)

    def scores(self, raw: pd.DataFrame, screened: Screened) -> pd.DataFrame:
        """Scores of the rows that keep the contract."""
        x = self._model.encoder.features(screened.features)
        logits = np.asarray(self._model.scorer(x), np.float64)
        self._scored += len(x)
        scores = self._named(raw, screened.kept).assign(
            probability=expit(logits), logit=logits
        )
        if self._reason_codes is None:
            return scores
        explained = self._reason_codes(x)
        self._residual = max(self._residual, explained.largest_residual)
        self._incomplete += explained.incomplete
        codes = explained.table.set_axis(scores.index, axis=0)
        return pd.concat([scores, codes], axis=1)

    def reasons(self, raw: pd.DataFrame, screened: Screened) -> pd.DataFrame:
        """What is wrong with the rows that break the contract."""
        texts = ["; ".join(lines) for _, lines in sorted(screened.reasons.items())]
        return self._named(raw, ~screened.kept).assign(faults=texts)

    def outcome(self) -> Outcome:
        """What became of the table."""
        return Outcome(
            scored=self._scored,
            left_out=self.left_out,
            faults=tuple(self.faults),
            largest_residual=self._residual,
            incomplete=self._incomplete,
        )

    @property
    def faults(self) -> list[str]:
        """Faults so far, added up."""
        return self._tally.lines

    def _named(self, raw: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
        """Identifiers and numbers of some rows."""
        named: Mapping[str, Any] = {}
        if name := self._table.id_column:
            named = {name: code_texts(raw[name]).astype(object)[which]}
        numbers = self._rows_before + 1 + np.flatnonzero(which)
        return pd.DataFrame({**named, ROW: numbers}, index=raw.index[which])
