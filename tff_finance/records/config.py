"""Configuration of a study as frozen values with a JSON round trip."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from tff_finance import checks
from tff_finance.records.asynchronous_config import FROM_FILE
from tff_finance.records.contribution_config import ContributionConfig
from tff_finance.records.institution_privacy_config import check_branches
from tff_finance.records.method_names import (
    BRANCH_METHODS,
    GLOBAL_NETWORK_METHODS,
    INSTITUTION_PRIVATE_METHODS,
    METHODS,
    PRIVATE_METHODS,
    ROWS_IN_MEMORY_METHODS,
    SECURE_METHODS,
    STATEFUL_METHODS,
)
from tff_finance.records.training_config import TrainingConfig

RUNTIMES = ("in_process", "tff", "workers")
# Results are reported for seeds from this one on, which had no part in any choice.
FIRST_REPORTED_SEED = 100
Config = TypeVar("Config", bound="StudyConfig")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What every comparison of methods has.

    Attributes:
        seeds: One repetition each.
        methods: Names from `METHODS`, compared in this order.
        training: How models are trained.
        runtime: What executes: "in_process", "tff" for TFF's own worker, "workers"
            for several of them. They round differently, so that long training may
            end elsewhere. At which addresses workers are makes no other run of it.
        contribution: Whose models are trained to see what each institution
            contributes; None for nobody's.
    """

    seeds: tuple[int, ...]
    methods: tuple[str, ...]
    training: TrainingConfig
    runtime: str = "in_process"
    contribution: ContributionConfig | None = None

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_one_of("runtime", self.runtime, RUNTIMES)
        for name in ("seeds", "methods"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"`{name}` must be distinct values, got {values!r}.")
        for method in self.methods:
            checks.check_one_of("methods", method, METHODS)
        trained = self.methods
        if self.contribution:
            checks.check_one_of(
                "contribution", self.contribution.method, GLOBAL_NETWORK_METHODS
            )
            if self.contribution.method in PRIVATE_METHODS:
                raise ValueError(
                    f"`contribution` can't be to {self.contribution.method}: every "
                    "coalition would spend privacy of the same records again, which no "
                    "ledger counts."
                )
            self._check_coalitions(self.contribution.method)
            trained = (*trained, self.contribution.method)
        self.training.check_suits(trained)
        self.training.asynchronous.check_outages(trained)
        self.training.dp_sgd.check_customers_known(self.customers_known)
        self.training.dp_sgd.check_own_features(not self.features_of_other_rows)
        self._check_runtime(trained)
        for seed in self.seeds:
            checks.check_in_range("seeds", seed, 0, 2**31 - 1)

    @property
    def customers_known(self) -> bool:
        """Whether a column of the tables says whose each row is."""
        return False

    @property
    def several_rows(self) -> bool:
        """Whether customers are known to have several rows, named or not."""
        return self.customers_known

    @property
    def features_of_other_rows(self) -> bool:
        """Whether a row's features are made of other rows too."""
        return False

    @property
    def table_checksums(self) -> bool:
        """Whether the configuration has checksums of tables of rows."""
        return False

    def _check_coalitions(self, method: str) -> None:
        """Refuses what would be drawn anew for each coalition."""
        if not self.training.participation.everyone:
            raise ValueError(
                "`contribution` needs everyone in every round: a cohort would be "
                "another share of each coalition, or more than there are."
            )
        clock = self.training.asynchronous
        timed = method == "fed_buff" or clock.max_simulated_seconds is not None
        if timed and (clock.institution_seconds != FROM_FILE or clock.outage_rate):
            raise ValueError(
                "`contribution` on a simulated clock needs `institution_seconds` from "
                "a file and no `outage_rate`: drawn times would be others in each "
                "coalition."
            )

    def _check_runtime(self, trained: Collection[str]) -> None:
        for method in STATEFUL_METHODS:
            if self.runtime == "workers" and method in trained:
                # One seed's state would be left for the next one to find.
                raise ValueError(
                    f"`methods` can't have {method} with the runtime workers, at whose "
                    "machines institutions' state can't be deleted between seeds."
                )
        secure = [method for method in trained if method in SECURE_METHODS]
        if self.runtime != "in_process" and secure:
            raise ValueError(
                f"`methods` can't have {', '.join(secure)} with the runtime "
                f"{self.runtime}, which has no secure sums: use in_process."
            )
        in_memory = [m for m in trained if m in ROWS_IN_MEMORY_METHODS]
        if self.runtime == "tff" and in_memory:
            raise ValueError(
                f"`methods` can't have {', '.join(in_memory)} with the runtime tff, "
                "where rows are read shard by shard: use in_process."
            )

    def check_suits_institutions(self, train_rows: Mapping[str, int]) -> None:
        """Refuses what makes no sense among these institutions.

        Args:
            train_rows: Of each that takes part, by name.

        Raises:
            ValueError: If settings ask for another institution or for more of them,
                if one is to be hidden among too few, or if one has fewer rows than
                branches, or more than secure sums have room for.
        """
        trained = {*self.methods}
        if self.contribution:
            trained.add(self.contribution.method)
        self.training.check_institutions(list(train_rows), trained)
        if not trained.isdisjoint(INSTITUTION_PRIVATE_METHODS):
            self.training.institution_privacy.check_not_vacuous(len(train_rows))
        if not trained.isdisjoint(BRANCH_METHODS):
            check_branches(self.training.institution_privacy.branches, train_rows)
        if "fed_avg_secure" in trained and self.training.weighting == "examples":
            self.training.secure_aggregation.check_bears(train_rows)

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it, lists for tuples: equal to what is read back."""
        return json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))

    @classmethod
    def from_mapping(cls: type[Config], mapping: Mapping[str, Any]) -> Config:
        """From what `to_mapping` gave, tuples read back from JSON lists."""
        values = dict(mapping)
        contribution = values.pop("contribution", None)
        return cls(
            training=TrainingConfig.from_mapping(values.pop("training")),
            seeds=tuple(values.pop("seeds")),
            methods=tuple(values.pop("methods")),
            contribution=ContributionConfig(**contribution) if contribution else None,
            **values,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaseStudyConfig(StudyConfig):
    """One run of the bank case study.

    A seed redraws population, split, initialisation and order of batches.

    Attributes:
        scenario: Name of the scenario.
        heterogeneity: How much the banks' customers differ, 0 to 1.
    """

    scenario: str
    heterogeneity: float

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        super().__post_init__()
        checks.check_in_range("heterogeneity", self.heterogeneity, 0.0, 1.0)
