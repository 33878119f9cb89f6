"""Configuration of a comparison on real tables."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tff_finance import checks
from tff_finance.records.config import StudyConfig
from tff_finance.records.training_config import TASK_TRAINING

CLASS_WEIGHTS = ("none", "balanced")
OWN_TABLES = "own tables"
TERMINAL_RISKS = ("own", "pooled", "federated")
MIN_RESAMPLES = 100
PAYMENT_COLUMNS = ("day", "card", "amount")
PAYMENT_TABLES = ("handbook_fraud", "handbook_features")
"""Public tables of payments, several of a card, whose features are made of other
payments: here from the raw ones, or by the publisher."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file that rows come from.

    Attributes:
        name: Without its folder.
        sha256: Of its content; of a gzip file, of what it unpacks to if the table
            is a public one. It tells a run from one on other rows, and gives away
            a row to whoever knows all others.
        institution: Whose rows it holds; empty if they are dealt out.
    """

    name: str
    sha256: str
    institution: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparisonConfig(StudyConfig):
    """One comparison of methods on real tables.

    A seed draws the partition (where it leaves something to chance), the split,
    the initialisation and the order of batches; the rows are always the same.

    Attributes:
        task: Name of the task.
        dataset: Name of the public table, or `OWN_TABLES`.
        files: Where the rows come from.
        contract: Name of the contract.
        contract_sha256: Of its content as canonical JSON.
        split: Text form of the split within each institution.
        partition: Text form of the partition; empty for institutions' own tables.
        preparation: What was done to the table before, such as where a
            feature's counts come from; empty if nothing.
        clusters: Column whose equal values belong together, such as a customer's
            number; empty if rows are independent.
        class_weights: "balanced" gives both classes the same weight in the loss,
            from federated counts of training labels; scores are corrected for it.
        resamples: Of the bootstrap over test rows.
        payments: Columns of day, card and amount where rows are payments, by which
            fraud is judged by day; empty if they aren't.
    """

    task: str
    dataset: str
    files: tuple[DataFile, ...]
    contract: str
    contract_sha256: str
    split: str
    partition: str = ""
    preparation: str = ""
    clusters: str = ""
    class_weights: str = "none"
    resamples: int = 1000
    payments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        super().__post_init__()
        checks.check_one_of("task", self.task, TASK_TRAINING)
        checks.check_one_of("class_weights", self.class_weights, CLASS_WEIGHTS)
        checks.check_at_least("resamples", self.resamples, MIN_RESAMPLES)
        if self.payments and self.task != "fraud":
            raise ValueError("`payments` are for the task fraud only.")
        if self.payments and len(self.payments) != len(PAYMENT_COLUMNS):
            raise ValueError(
                f"`payments` must name the columns of {', '.join(PAYMENT_COLUMNS)}, "
                f"got {self.payments}."
            )

    @property
    def customers_known(self) -> bool:
        """Whether a column says which rows belong together."""
        return bool(self.clusters)

    @property
    def several_rows(self) -> bool:
        """Whether rows are clustered, or payments, of which a card has several."""
        payments = bool(self.payments) or self.dataset in PAYMENT_TABLES
        return self.customers_known or payments

    @property
    def features_of_other_rows(self) -> bool:
        """Whether a row's features are made of other rows too."""
        return bool(self.preparation) or self.dataset in PAYMENT_TABLES

    @property
    def table_checksums(self) -> bool:
        """Whether rows come from files, which the configuration has checksums of."""
        return bool(self.files)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "ComparisonConfig":
        """From what `to_mapping` gave, tuples read back from JSON lists."""
        files = tuple(DataFile(**file) for file in mapping["files"])
        payments = tuple(mapping.get("payments", ()))
        return super().from_mapping({**mapping, "files": files, "payments": payments})
