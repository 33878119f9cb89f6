"""Calibrates the constants of a scenario's law of default, on seeds from 1000 on.

Prints the accuracy of each method on all banks' test rows for every pair of
contrast and steepness. The constants in tff_finance/datasets were chosen from
this table; seeds below 1000, which results are reported for, are refused.
"""

import dataclasses
import itertools

from absl import flags

from experiments import command_line
from tff_finance.records.config import METHODS, CaseStudyConfig

FIRST_CALIBRATION_SEED = 1000

_SCENARIO = flags.DEFINE_enum(
    "scenario", "market", ["market", "scarce_labels"], "Scenario to calibrate."
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
_HETEROGENEITIES = flags.DEFINE_list(
    "heterogeneities", None, "Heterogeneities. Default: the scenario's."
)


def main() -> None:
    """Prints the calibration table."""
    from tff_finance.datasets.scenarios import SCENARIOS

    scenario = SCENARIOS[_SCENARIO.value]
    grid = list(
        itertools.product(
            _numbers(_CONTRASTS.value, scenario.law.contrast),
            _numbers(_STEEPNESSES.value, scenario.law.steepness),
            _numbers(_HETEROGENEITIES.value, scenario.heterogeneity),
        )
    )
    first = _FIRST_SEED.value
    try:
        configs = [
            CaseStudyConfig(
                scenario=scenario.name,
                heterogeneity=heterogeneity,
                seeds=tuple(range(first, first + _SEEDS.value)),
                methods=tuple(_METHODS.value),
                training=scenario.training,
            )
            for _, _, heterogeneity in grid
        ]
    except ValueError as error:
        command_line.usage_error(error)

    from tff_finance.evaluation import case_study
    from tff_finance.evaluation.summary import build_summary
    from tff_finance.report.console import format_percent
    from tff_finance.runtime import local

    print("contrast  steepness  heterogeneity  accuracy in %, own rows | all rows")
    with local.execution_context():
        for (contrast, steepness, heterogeneity), config in zip(
            grid, configs, strict=True
        ):
            law = dataclasses.replace(
                scenario.law, contrast=contrast, steepness=steepness
            )
            record = case_study.run_case_study(
                config, report_progress=command_line.report_progress, law=law
            )
            methods = build_summary(record)["methods"]
            cells = "   ".join(
                f"{name} {format_percent(method['own_mean']['accuracy'])} | "
                f"{format_percent(method['pooled']['accuracy'])}"
                for name, method in methods.items()
            )
            print(
                f"{contrast:8g}  {steepness:9g}  {heterogeneity:13g}  {cells}",
                flush=True,
            )


def _numbers(given: list[str] | None, default: float) -> list[float]:
    try:
        return [default] if given is None else [float(number) for number in given]
    except ValueError as error:
        command_line.usage_error(error)


if __name__ == "__main__":
    command_line.run(main)
