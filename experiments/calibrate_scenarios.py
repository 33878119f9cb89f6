"""Calibrates the constants of a scenario's law of default, on seeds from 1000 on.

Prints default rates and the accuracy of each method, on own rows and on all
banks' rows, for every combination of constants. Seeds below 1000, which results
are reported for, are refused.
"""

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import command_line
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.method_names import METHODS

if TYPE_CHECKING:
    from tff_finance.datasets.population import DefaultLaw

FIRST_CALIBRATION_SEED = 1000

_SCENARIO = flags.DEFINE_enum(
    "scenario", "market", ["market", "scarce_labels", "dominant_bank"], "To calibrate."
)
_SEEDS = flags.DEFINE_integer("seeds", 5, "Number of repetitions.", lower_bound=1)
_FIRST_SEED = flags.DEFINE_integer(
    "first_seed",
    FIRST_CALIBRATION_SEED,
    "First seed; the others follow.",
    lower_bound=FIRST_CALIBRATION_SEED,
)
_METHODS = flags.DEFINE_list(
    "methods",
    ["local", "fed_avg", "centralized"],
    f"Methods to compare, of: {', '.join(METHODS)}.",
)
_CONTRASTS = flags.DEFINE_list(
    "contrasts", None, "Contrasts of the law, comma separated. Default: as it is."
)
_STEEPNESSES = flags.DEFINE_list(
    "steepnesses", None, "Steepnesses of the law. Default: as it is."
)
_CUTOFFS = flags.DEFINE_list("cutoffs", None, "Cutoffs of the law. Default: as it is.")
_HETEROGENEITIES = flags.DEFINE_list(
    "heterogeneities", None, "Heterogeneities. Default: the scenario's."
)


def main() -> None:
    """Prints the calibration table."""
    from tff_finance.datasets.scenarios import SCENARIOS

    scenario = SCENARIOS[_SCENARIO.value]
    law = scenario.law
    first = _FIRST_SEED.value
    try:
        laws = [
            dataclasses.replace(law, contrast=c, steepness=s, cutoff=o)
            for c, s, o in itertools.product(
                _numbers(_CONTRASTS.value, law.contrast),
                _numbers(_STEEPNESSES.value, law.steepness),
                _numbers(_CUTOFFS.value, law.cutoff),
            )
        ]
        configs = [
            CaseStudyConfig(
                scenario=scenario.name,
                heterogeneity=heterogeneity,
                seeds=tuple(range(first, first + _SEEDS.value)),
                methods=tuple(_METHODS.value),
                training=scenario.training,
            )
            for heterogeneity in _numbers(
                _HETEROGENEITIES.value, scenario.heterogeneity
            )
        ]
        for config in configs:
            config.check_suits_institutions(scenario.train_rows)
    except ValueError as error:
        command_line.usage_error(error)

    from tff_finance.evaluation import case_study
    from tff_finance.evaluation.summary import build_summary
    from tff_finance.runtime.choice import execution_context

    print(
        "contrast steepness cutoff heterogeneity | default rates | own rows, all rows"
    )
    with execution_context(configs[0].runtime):
        for law, config in itertools.product(laws, configs):
            record = case_study.run_case_study(
                config, report_progress=command_line.report_progress, law=law
            )
            print(_line(law, config, build_summary(record)), flush=True)


def _line(law: "DefaultLaw", config: CaseStudyConfig, summary: dict[str, Any]) -> str:
    from tff_finance.report.console import format_percent

    rates = "  ".join(
        f"{name} {values['positive_rate']:.3f}"
        for name, values in summary["institutions"].items()
    )
    accuracies = "  ".join(
        f"{name} {format_percent(method['own_mean']['accuracy'])}, "
        f"{format_percent(method['pooled']['accuracy'])}"
        for name, method in summary["methods"].items()
    )
    return (
        f"{law.contrast:8g} {law.steepness:9g} {law.cutoff:6g} "
        f"{config.heterogeneity:13g} | {rates} | {accuracies}"
    )


def _numbers(given: list[str] | None, default: float) -> list[float]:
    return [default] if given is None else [float(number) for number in given]


if __name__ == "__main__":
    command_line.run(main)
