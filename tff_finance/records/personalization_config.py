"""Configuration of methods that end in a model for each institution."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from tff_finance import checks

BOOSTING = "gradient_boosting"
_WIDTHS = re.compile(r"[1-9]\d*(,[1-9]\d*)*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PersonalizationConfig:
    """How models become an institution's own.

    Attributes:
        fine_tuning_epochs: Most epochs at an institution from FedAvg's weights on; 0
            leaves these as they are.
        fine_tuning_learning_rate: Of these epochs; None for that of local steps.
        local_layers: How many of the model's layers, the last ones, FedPer leaves to
            each institution; 0 is FedAvg.
        fed_md_models: Kinds of model in FedMD, in turn those of the institutions:
            widths of hidden layers such as "32,16", or `BOOSTING`.
        fed_md_rounds: Most exchanges of predictions.
        fed_md_reference_rows: Rows that predictions are exchanged on.
        fed_md_digest_epochs: Over these rows in each round, for networks.
        fed_md_revisit_epochs: Over an institution's own rows, likewise.
    """

    fine_tuning_epochs: int = 100
    fine_tuning_learning_rate: float | None = None
    local_layers: int = 1
    fed_md_models: tuple[str, ...] = ("32,16", "64", "16,16,8")
    fed_md_rounds: int = 50
    fed_md_reference_rows: int = 2_000
    fed_md_digest_epochs: int = 1
    fed_md_revisit_epochs: int = 1

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_at_least("fine_tuning_epochs", self.fine_tuning_epochs, 0)
        if self.fine_tuning_learning_rate is not None:
            checks.check_positive(
                "fine_tuning_learning_rate", self.fine_tuning_learning_rate
            )
        checks.check_at_least("local_layers", self.local_layers, 0)
        for name in (
            "fed_md_rounds",
            "fed_md_reference_rows",
            "fed_md_digest_epochs",
            "fed_md_revisit_epochs",
        ):
            checks.check_at_least(name, getattr(self, name), 1)
        if not self.fed_md_models:
            raise ValueError("`fed_md_models` must name a kind of model, got none.")
        for model in self.fed_md_models:
            if model != BOOSTING and not _WIDTHS.fullmatch(model):
                raise ValueError(
                    "`fed_md_models` must be widths such as 32,16, without layers of "
                    f"none, or {BOOSTING}; got {model!r}."
                )

    @property
    def fed_md_kinds(self) -> tuple[tuple[int, ...] | None, ...]:
        """Widths of each kind of network; None stands for boosting."""
        return tuple(
            None
            if model == BOOSTING
            else tuple(int(width) for width in model.split(","))
            for model in self.fed_md_models
        )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "PersonalizationConfig":
        """From JSON, whose lists were tuples; what is missing takes its default."""
        values = dict(mapping)
        if "fed_md_models" in values:
            values["fed_md_models"] = tuple(values["fed_md_models"])
        return cls(**values)
