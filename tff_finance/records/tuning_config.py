"""Configuration of a search for training settings."""

import dataclasses
import json
from typing import Any

from tff_finance import checks
from tff_finance.records.config import StudyConfig
from tff_finance.records.settings_of_methods import check_read


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """What is tuned, on what, and over what. How many trials makes no other search.

    Attributes:
        study: Of one method; its seeds are those that are tuned on, its training
            gives the settings that aren't varied.
        search: What is varied, as texts of `search_space`.
        reported_seeds: Seeds that results will be reported for.
        sampler_seed: Of the suggestions.
        prune: Whether trials that are worse than most are given up.
        optuna: Version that makes the suggestions.
    """

    study: StudyConfig
    search: tuple[str, ...]
    reported_seeds: tuple[int, ...]
    sampler_seed: int
    prune: bool
    optuna: str

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        if len(self.study.methods) != 1:
            raise ValueError(f"`methods` must be one, got {self.study.methods}.")
        self._check_read(self.study.methods[0])
        checks.check_in_range("sampler_seed", self.sampler_seed, 0, 2**31 - 1)
        if both := sorted({*self.study.seeds} & {*self.reported_seeds}):
            raise ValueError(
                f"`seeds` that are tuned on must not be reported, as {both} are: "
                "settings would be chosen by looking at the results."
            )
        if self.prune and len(self.study.seeds) == 1:
            raise ValueError(
                "`prune` needs two `seeds` or more: a trial is given up between them."
            )

    def _check_read(self, method: str) -> None:
        for name in (text.partition("=")[0] for text in self.search):
            check_read(name, method)
            if name.startswith("plateau_") and not self.study.training.plateau_rates:
                raise ValueError(f"`{name}` needs `plateau_rates`, got none.")
            by_customer = self.study.training.dp_sgd.by_customer
            if name == "most_rows_per_customer" and not by_customer:
                raise ValueError(f"`{name}` needs `privacy_unit` customer.")

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        own = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "study"
        }
        return json.loads(json.dumps(self.study.to_mapping() | own, allow_nan=False))
