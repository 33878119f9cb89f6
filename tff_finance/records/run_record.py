"""What a run leaves behind: metrics, curves, traffic and score histograms.

Rows are flat frozen values, one CSV file for each kind, so that any tool can
read them.
"""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tff_finance import checks
from tff_finance.records import files
from tff_finance.records.attack_rows import AttackRow
from tff_finance.records.coalition_row import CoalitionRow
from tff_finance.records.privacy_row import PrivacyRow

SCHEMA_VERSION = 1
# Why nothing is pooled or averaged over institutions with different labels.
DIFFERENT_TARGETS = "the institutions' labels say different things"


class UnreadableRecordError(checks.RunFailedError):
    """A folder that is no record, or a damaged one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstitutionRow:
    """Size and positive rate of an institution's tables under one seed.

    Attributes:
        seed: Repetition.
        institution: Its name.
        train_rows: Rows that models learn from.
        validation_rows: Rows for choices during training.
        test_rows: Rows that results are of.
        test_positives: Of these, rows of label 1.
        positive_rate: Share of label 1 in all rows.
        target: What label 1 stands for; empty if it isn't known.
    """

    seed: int
    institution: str
    train_rows: int
    validation_rows: int
    test_rows: int
    test_positives: int
    positive_rate: float
    target: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric of one model on one set of test rows.

    Attributes:
        seed: Repetition.
        method: Name of the method.
        model: "global", or the institution whose model it is.
        scope: "pooled" (all institutions' rows), "own" or "others".
        institution: Whose own or other rows; empty if pooled.
        metric: Name of the metric.
        value: None if undefined.
        reason: Why it is undefined; empty if it is defined.
        low: Least value that scores within a histogram's bins can hide; None
            where nothing is hidden, or where it isn't known.
        high: The greatest, likewise.
    """

    seed: int
    method: str
    model: str
    scope: str
    institution: str
    metric: str
    value: float | None
    reason: str = ""
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Refuses NaN, and a missing value without a reason."""
        if self.value is None and not self.reason:
            raise ValueError(f"`reason` must say why {self.metric} is undefined.")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(
                f"`value` of {self.metric} must be finite or None, got {self.value}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurveRow:
    """State of training after a round; losses in nats per row.

    Attributes:
        seed: Repetition.
        method: Name of the method.
        model: "global", or the institution whose model it is.
        round: Counted from 1.
        training_loss: Mean over the round's rows; None if it isn't given away, as by
            private training, or if nobody's update counts.
        validation_loss: Mean over validation rows; None if not validated.
        validation_accuracy: Share of validation rows judged rightly, or None.
        non_finite_updates: Institutions whose update was left out of the round.
        client_learning_rate: That the round was run with; None if it isn't known or
            there is none.
        server_learning_rate: Likewise.
        rejected_updates: Institutions whose update the aggregator left out.
        validation_auc: AUC on validation rows; None if it wasn't asked for.
        simulated_seconds: When the round ended on a simulated clock; None if there
            is no clock, as of all below.
        mean_staleness: Of the round's updates, in rounds.
        late_updates: Updates dropped since the last round, being too stale.
        lost_updates: Local rounds that outages broke off since then.
    """

    seed: int
    method: str
    model: str
    round: int
    training_loss: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    non_finite_updates: int = 0
    client_learning_rate: float | None = None
    server_learning_rate: float | None = None
    rejected_updates: int = 0
    validation_auc: float | None = None
    simulated_seconds: float | None = None
    mean_staleness: float | None = None
    late_updates: int | None = None
    lost_updates: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRow:
    """Effort and traffic of one training run.

    Attributes:
        seed: Repetition.
        method: Name of the method.
        model: "global", or the institution whose model it is.
        rounds: Rounds (references: epochs; boosting: trees) that were run.
        exchanges: Rounds in which something went between server and institutions.
        best_round: The one whose weights were kept.
        stopped_by: "patience"; "max_rounds" or "max_simulated_seconds" if it was
            still improving; "fixed_rounds" if their number was fixed before; "budget"
            if one more round would have exceeded the privacy budget; "diverged" if an
            attack ended it.
        seconds: Wall time of training.
        bytes_down: From server to institutions, all rounds.
        bytes_up: From institutions to server, all rounds.
        validation_bytes_down: Traffic of validation during training, which is
            not in `bytes_down`.
        validation_bytes_up: The same, not in `bytes_up`.
        source: Where the byte counts come from.
        dropouts: Institutions that got the model and sent no update, all rounds.
        skipped_rounds: Rounds in which too few took part for the model to move.
        institution_bytes_down: To one institution in one exchange; None if nothing
            goes round by round, or if it isn't known.
        institution_bytes_up: From one institution in one exchange, likewise.
    """

    seed: int
    method: str
    model: str
    rounds: int
    exchanges: int
    best_round: int
    stopped_by: str
    seconds: float
    bytes_down: int
    bytes_up: int
    validation_bytes_down: int
    validation_bytes_up: int
    source: str
    dropouts: int = 0
    skipped_rounds: int = 0
    institution_bytes_down: int | None = None
    institution_bytes_up: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class HistogramRow:
    """One bin of a score histogram of one model on one institution's test rows."""

    seed: int
    method: str
    model: str
    institution: str
    bin: int
    negatives: int
    positives: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureRow:
    """Mean of one encoded feature over an institution's training rows.

    Attributes:
        seed: Repetition.
        institution: Name of the institution.
        feature: Name of the encoded column.
        mean: In standard deviations over all institutions' training rows, from
            the mean over these: a standardised mean difference.
    """

    seed: int
    institution: str
    feature: str
    mean: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootstrapRow:
    """How far other test rows would move a value or a difference, under one seed.

    Attributes:
        seed: Repetition.
        method: Name of the method.
        reference: The method whose value is taken off; empty for the method's own.
        scope: "pooled" (all institutions' rows) or "own".
        institution: Whose own rows; empty if pooled.
        metric: Name of the metric.
        value: On the rows themselves; None if undefined.
        low: Lower limit of the 95 % interval; None if there is none.
        high: Upper limit, likewise.
        reason: Why value or limits are missing; empty if they aren't.
        rows: Test rows.
        positives: Of these, rows of label 1.
        units: What was resampled: as many rows, or clusters of rows.
        resamples: Bootstrap resamples; 0 if there is no interval.
    """

    seed: int
    method: str
    reference: str
    scope: str
    institution: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    reason: str
    rows: int
    positives: int
    units: int
    resamples: int


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
