"""Rows of a run's record, a kind for each CSV file: flat frozen values."""

import dataclasses
import math


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
