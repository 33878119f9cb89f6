"""From what training released to what a method promises, as records hold it.

A method knows what its training and its validation released. What was released before
and after, for all methods alike, is the study's; without it a ledger isn't complete.
"""

import dataclasses
from collections.abc import Sequence

from tff_finance.privacy import mechanisms
from tff_finance.privacy.guarantee import Guarantee
from tff_finance.privacy.ledger import Entry, Ledger, guarantee_across
from tff_finance.privacy.mechanisms import Mechanism
from tff_finance.records.privacy_row import PER_ROW_NOT_CUSTOMER, PrivacyRow

ENCODER = Entry(
    stage="preprocessing",
    what="sums and counts of training rows that fit the shared encoder",
    reason="exact, for all methods alike",
)
LABEL_COUNTS = Entry(
    stage="preprocessing",
    what="counts of training labels, for class weights",
    reason="exact, for all methods alike",
)
FEATURE_COUNTS = Entry(
    stage="preprocessing",
    what="counts that features are made of",
    reason="exact, for all methods alike",
)
FEATURES_OF_OTHER_ROWS = Entry(
    stage="preprocessing",
    what="features made of other rows, which one unit more or less changes",
    reason="the guarantee takes them as given",
)
ROW_COUNTS = Entry(
    stage="preprocessing",
    what="each institution's numbers of training, validation and test rows",
    reason="exact, for all methods alike",
)
TABLE_CHECKSUMS = Entry(
    stage="preprocessing",
    what="SHA-256 of each table in the run's record",
    reason="exact; whoever knows all rows but one can test for that one",
)
MODEL_REFERENCE = Entry(
    stage="preprocessing",
    what="mean of all encoded training rows, beside the model",
    reason="exact; scores are explained against it",
)
MODEL_VALIDATION = Entry(
    stage="validation",
    what="metrics of validation rows, pooled and by institution, beside the model",
    reason="exact",
)
SETTINGS = Entry(
    stage="tuning",
    what="the settings",
    reason="whether results on these rows led to them isn't known to this run",
)
TEST_RESULTS = Entry(
    stage="evaluation",
    what="metrics and score histograms of test rows, mean features of training rows, "
    "share of positive labels in all rows",
    reason="exact, for the comparison",
)
ATTACKED_TRAINING_ROWS = Entry(
    stage="evaluation",
    what="AUC and true positive rates of a membership attack on training rows",
    reason="exact, for the comparison",
)
VALIDATION_SHOWN = Entry(
    stage="validation",
    what="loss, accuracy and, if asked for, AUC on validation rows, round by round",
    reason="exact; shown only, nothing is stopped or chosen by them",
)
SEVERAL_ROWS = (
    "unit: a customer with several rows (each row is protected, not all together)"
)
# Of these somebody may have one at each of several institutions.
_UNITS_OF_AN_INSTITUTION = ("record", "customer")
_IN_WORDS = {
    "record": "per row",
    "customer": "per customer, with all rows at the institution",
    "branch": "per branch",
    "institution": "per institution",
}
SEVERAL_BRANCHES = (
    "unit: a customer with rows in several branches, and the bank (each branch is "
    "protected, not all together)"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Promise:
    """What one training run promises to the units of one ledger.

    Attributes:
        model: "global", or the institution whose model it is.
        training: The mechanism of all noised sums that training released.
        ledger: With the entries of training, and of validation.
        against: From `privacy_row.ADVERSARIES`.
        sampling_probability: Of a unit in a step.
        steps: Noised sums that were released.
        l2_clip_norm: Most that a unit moves one by; None if it adapts.
        target_epsilon: The budget, if there is one.
        least_honest: As in `PrivacyRow`.
        most_rows: As in `PrivacyRow`.
    """

    model: str
    training: Mechanism
    ledger: Ledger
    against: tuple[str, ...]
    sampling_probability: float
    steps: int
    l2_clip_norm: float | None
    target_epsilon: float | None = None
    least_honest: int | None = None
    most_rows: int | None = None


def released_besides(
    *,
    label_counts: bool,
    feature_counts: bool,
    features_of_other_rows: bool = False,
    table_checksums: bool = False,
    model_kept: bool = False,
    training_rows_attacked: bool = False,
) -> tuple[Entry, ...]:
    """What a study releases of rows, whatever the method, none of it with noise.

    Args:
        label_counts: Whether banks' labels are counted for class weights.
        feature_counts: Whether something is counted for features.
        features_of_other_rows: Whether a row's features are made of other rows too. A
            unit then moves sums by more than its own rows, which alone are clipped.
        table_checksums: Whether the record identifies tables by their checksums.
        model_kept: Whether the model is saved, with what `model_keeper` puts beside it.
        training_rows_attacked: Whether results tell how well attacks know them.

    Returns:
        Entries for all stages but training and, unless the model is kept, validation.
    """
    asked = {
        LABEL_COUNTS: label_counts,
        FEATURE_COUNTS: feature_counts,
        FEATURES_OF_OTHER_ROWS: features_of_other_rows,
        TABLE_CHECKSUMS: table_checksums,
        MODEL_REFERENCE: model_kept,
        MODEL_VALIDATION: model_kept,
        ATTACKED_TRAINING_ROWS: training_rows_attacked,
    }
    released = (entry for entry, is_asked in asked.items() if is_asked)
    return (ENCODER, ROW_COUNTS, *released, SETTINGS, TEST_RESULTS)


def privacy_rows(
    promises: Sequence[Promise],
    entries: Sequence[Entry],
    *,
    seed: int,
    method: str,
    several_rows: bool = False,
) -> tuple[PrivacyRow, ...]:
    """Completes the ledgers, and takes their guarantees.

    Args:
        promises: Of one method under one seed.
        entries: What the study released or chose, for all methods alike.
        seed: Repetition.
        method: Name of the method.
        several_rows: Whether rows are known to belong to customers who may have
            several, whom a guarantee for records says less about.

    Returns:
        A row for each promise.

    Raises:
        IncompleteLedgerError: If a stage has no entry.
    """
    completed = [_complete(promise, entries) for promise in promises]
    rows = [_row(promise, seed, method, several_rows) for promise in completed]
    if across := _across([promise.ledger for promise in completed]):
        rows = [
            dataclasses.replace(
                row,
                across_epsilon=across.epsilon,
                across_delta=across.delta,
                across_accountant=across.accountant,
            )
            for row in rows
        ]
    return tuple(rows)


def _complete(promise: Promise, entries: Sequence[Entry]) -> Promise:
    ledger = promise.ledger
    ledger = dataclasses.replace(ledger, entries=(*ledger.entries, *entries))
    return dataclasses.replace(promise, ledger=ledger)


def _across(ledgers: Sequence[Ledger]) -> Guarantee | None:
    """For somebody with one unit at each institution; None if that can't be."""
    several = len({ledger.owner for ledger in ledgers}) > 1
    units = {ledger.unit for ledger in ledgers}
    if several and units.issubset(_UNITS_OF_AN_INSTITUTION):
        return guarantee_across(ledgers)
    return None


def _row(promise: Promise, seed: int, method: str, several_rows: bool) -> PrivacyRow:
    ledger = promise.ledger
    guarantee = ledger.guarantee()
    owner = f"{ledger.owner}: "
    lines = [line.removeprefix(owner) for line in guarantee.not_covered]
    in_words = _IN_WORDS[ledger.unit]
    if several_rows and ledger.unit == "record":
        in_words = PER_ROW_NOT_CUSTOMER
        lines.append(SEVERAL_ROWS)
    if ledger.unit == "branch":
        lines.append(SEVERAL_BRANCHES)
    mechanism = mechanisms.to_mapping(promise.training)
    return PrivacyRow(
        seed=seed,
        method=method,
        model=promise.model,
        institution=ledger.owner,
        unit=guarantee.unit,
        neighbouring=guarantee.neighbouring,
        population=ledger.population,
        epsilon=guarantee.epsilon,
        delta=guarantee.delta,
        accountant=guarantee.accountant,
        against=",".join(promise.against),
        mechanism=mechanism["name"],
        noise_multiplier=float(mechanism["noise_multiplier"]),
        sampling_probability=float(promise.sampling_probability),
        steps=promise.steps,
        l2_clip_norm=promise.l2_clip_norm,
        target_epsilon=promise.target_epsilon,
        least_honest=promise.least_honest,
        most_rows=promise.most_rows,
        unit_in_words=in_words,
        not_covered="\n".join(lines),
    )
