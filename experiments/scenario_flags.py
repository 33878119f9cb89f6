"""Flags of every binary that trains on the case study's population: which one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import command_line, training_flags
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.contribution_config import ContributionConfig

if TYPE_CHECKING:
    from tff_finance.datasets.scenarios import Scenario

_SCENARIO = flags.DEFINE_enum(
    "scenario",
    "market",
    ["market", "scarce_labels", "dominant_bank", "five_banks"],
    "market: large banks, each serving one segment. scarce_labels: small banks that "
    "differ mildly. dominant_bank: one large bank and two small ones that differ.",
)
_HETEROGENEITY = flags.DEFINE_float(
    "heterogeneity",
    None,
    "How much the banks' customers differ, 0 (alike) to 1. Default: the scenario's.",
)


def scenario() -> "Scenario":
    """The scenario that is asked for, heterogeneity excepted."""
    from tff_finance.datasets.scenarios import SCENARIOS

    return SCENARIOS[_SCENARIO.value]


def given() -> list[str]:
    """Names of the flags that were given."""
    return [flag.name for flag in (_SCENARIO, _HETEROGENEITY) if flag.present]


def config(
    runtime: str,
    *,
    seeds: tuple[int, ...],
    methods: tuple[str, ...],
    contribution: ContributionConfig | None = None,
    varied: Mapping[str, Any] = MappingProxyType({}),
) -> CaseStudyConfig:
    """The configuration that the flags ask for; a usage error if there is none.

    Args:
        runtime: As in the configuration, likewise what follows.
        seeds: Repetitions.
        methods: To train.
        contribution: Whose models show what institutions contribute.
        varied: As of `training_flags.training`.

    Returns:
        The configuration.
    """
    asked = scenario()
    try:
        training = training_flags.training(asked.training, varied)
        study = CaseStudyConfig(
            scenario=asked.name,
            heterogeneity=(
                asked.heterogeneity
                if _HETEROGENEITY.value is None
                else _HETEROGENEITY.value
            ),
            seeds=seeds,
            methods=methods,
            training=training,
            runtime=runtime,
            contribution=contribution,
        )
        study.check_suits_institutions(asked.train_rows)
    except ValueError as error:
        command_line.usage_error(error)
    return study
