"""What a run leaves behind: metrics, curves, traffic and score histograms.

Rows are flat frozen values, one CSV file for each kind, so that any tool can
read them.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tff_finance import checks
from tff_finance.records import files
from tff_finance.records.attack_rows import AttackRow
from tff_finance.records.coalition_row import CoalitionRow
from tff_finance.records.privacy_row import PrivacyRow
from tff_finance.records.run_rows import (
    BootstrapRow,
    CurveRow,
    FeatureRow,
    HistogramRow,
    InstitutionRow,
    MetricRow,
    RunRow,
)

SCHEMA_VERSION = 1
# Why nothing is pooled or averaged over institutions with different labels.
DIFFERENT_TARGETS = "the institutions' labels say different things"


class UnreadableRecordError(checks.RunFailedError):
    """A folder that is no record, or a damaged one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Everything that a report needs to know about a run.

    Attributes:
        experiment: Name of the experiment.
        config: What was asked for.
        scenario: What the data were: description, institutions, constants.
        preprocessing: Bytes to and from each institution that fitting the
            shared encoder took, and where that number comes from.
        versions: Of Python and of the packages that results depend on.
        institutions: One row per seed and institution.
        metrics: Metrics on test rows.
        curves: State of training, one row per round.
        runs: Effort and traffic, one row per training run.
        histograms: Score histograms on test rows.
        features: How institutions' training rows differ.
        bootstraps: Intervals over test rows; none for synthetic data, which
            seeds redraw.
        privacy: What methods promise, one row per institution that they promise it
            to; none for methods without protection.
        coalitions: What models are worth that some institutions trained without the
            others; none unless contributions were asked for.
        attacks: What attacks achieved; none where nothing was attacked.
    """

    experiment: str
    config: dict[str, Any]
    scenario: dict[str, Any]
    preprocessing: dict[str, Any]
    versions: dict[str, str]
    institutions: tuple[InstitutionRow, ...]
    metrics: tuple[MetricRow, ...]
    curves: tuple[CurveRow, ...]
    runs: tuple[RunRow, ...]
    histograms: tuple[HistogramRow, ...]
    features: tuple[FeatureRow, ...] = ()
    bootstraps: tuple[BootstrapRow, ...] = ()
    privacy: tuple[PrivacyRow, ...] = ()
    coalitions: tuple[CoalitionRow, ...] = ()
    attacks: tuple[AttackRow, ...] = ()

    def write(self, directory: pathlib.Path) -> None:
        """Writes `run.json` and a CSV file for each kind of row, atomically.

        Args:
            directory: Made if missing. `run.json` comes last, so that a folder
                that has one holds rows that belong together.
        """
        (directory / "run.json").unlink(missing_ok=True)
        for kind, row_type in _ROW_KINDS.items():
            table = _frame(getattr(self, kind), row_type)
            files.write_csv(directory / _file_name(kind), table)
        names = [_file_name(kind) for kind in _ROW_KINDS]
        header = {
            "schema": SCHEMA_VERSION,
            "experiment": self.experiment,
            "config": self.config,
            "scenario": self.scenario,
            "preprocessing": self.preprocessing,
            "versions": self.versions,
            "sha256": {name: files.sha256(directory / name) for name in names},
        }
        files.write_json(directory / "run.json", header)

    @classmethod
    def read(cls, directory: pathlib.Path) -> "RunRecord":
        """Reads what `write` wrote.

        Args:
            directory: The record's folder.

        Returns:
            The record, equal to the one written.

        Raises:
            UnreadableRecordError: If there is no record, if it has a newer schema
                than this code knows, or a file that has changed since.
        """
        try:
            return cls._read(directory)
        except files.UNREADABLE as error:
            raise UnreadableRecordError(
                f"{directory} is no record that can be read: "
                f"{files.what_is_wrong(error)}"
            ) from error

    @classmethod
    def _read(cls, directory: pathlib.Path) -> "RunRecord":
        header = files.read_json(directory / "run.json")
        if header["schema"] > SCHEMA_VERSION:
            raise ValueError(
                f"{directory / 'run.json'} has schema {header['schema']}; this "
                f"version reads up to {SCHEMA_VERSION}: update tff_finance."
            )
        # Records of an earlier version have no checksums.
        for name, expected in header.get("sha256", {}).items():
            _check_unchanged(directory / name, expected)
        rows = {
            kind: _read_rows(directory / _file_name(kind), row_type)
            for kind, row_type in _ROW_KINDS.items()
            if kind not in _LATER_KINDS or (directory / _file_name(kind)).exists()
        }
        return cls(
            experiment=header["experiment"],
            config=header["config"],
            scenario=header["scenario"],
            preprocessing=header["preprocessing"],
            versions=header["versions"],
            **rows,
        )


_ROW_KINDS = {
    "institutions": InstitutionRow,
    "metrics": MetricRow,
    "curves": CurveRow,
    "runs": RunRow,
    "histograms": HistogramRow,
    "features": FeatureRow,
    "bootstraps": BootstrapRow,
    "privacy": PrivacyRow,
    "coalitions": CoalitionRow,
    "attacks": AttackRow,
}

# Kinds that records of an earlier version don't have.
_LATER_KINDS = frozenset({"features", "bootstraps", "privacy", "coalitions", "attacks"})


def join_rows(records: Sequence[RunRecord]) -> RunRecord:
    """All rows of records of one run, such as one record per seed, in order."""
    rows = {
        kind: tuple(row for record in records for row in getattr(record, kind))
        for kind in _ROW_KINDS
    }
    return dataclasses.replace(records[0], **rows)


def _check_unchanged(path: pathlib.Path, expected: str) -> None:
    # A file cut at the end of a line would read well, as if there had been less.
    if files.sha256(path) != expected:
        raise ValueError(
            f"{path} has changed since it was written: its SHA-256 is not the one "
            "in run.json. Restore it, or run the experiment again."
        )


def _file_name(kind: str) -> str:
    return "score_histograms.csv.gz" if kind == "histograms" else f"{kind}.csv"


def _frame(rows: Sequence[Any], row_type: type) -> pd.DataFrame:
    # With no rows, the columns' names keep the file readable.
    names = [field.name for field in dataclasses.fields(row_type)]
    return pd.DataFrame([dataclasses.asdict(row) for row in rows], columns=names)


def _read_rows(path: pathlib.Path, row_type: type) -> tuple[Any, ...]:
    # Names stay text, also that of a bank called "NA" or "007".
    text = [field.name for field in dataclasses.fields(row_type) if field.type is str]
    frame = files.read_csv(path, text_columns=text)
    # By column: asking row by row what is missing takes most of a report's time.
    columns = {
        str(name): [
            None if missing else value
            for value, missing in zip(
                column.tolist(), column.isna().tolist(), strict=True
            )
        ]
        for name, column in frame.items()
    }
    return tuple(
        row_type(**dict(zip(columns, values, strict=True)))
        for values in zip(*columns.values(), strict=True)
    )
