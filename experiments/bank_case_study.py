"""Three banks train a joint credit-risk model: what is that worth?

Compares banks that train alone, together by federated learning, and on pooled
rows, on a synthetic population made for the purpose. Prints the comparison and
writes summary.json and the run record to --output_dir. A run that was killed goes
on where it was when it is started again with the same flags.

Training flags that are not given take the scenario's values.
"""

from typing import TYPE_CHECKING

from absl import flags

from experiments import (
    command_line,
    resume,
    runtime_flags,
    study_flags,
    training_flags,
)
from tff_finance.records import files
from tff_finance.records.config import CaseStudyConfig

if TYPE_CHECKING:
    from tff_finance.datasets.scenarios import Scenario

# So that --help lists them too.
for _module in (study_flags, training_flags, runtime_flags, resume):
    flags.adopt_module_key_flags(_module)

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for summary.json and record/; made if missing."
)
_SCENARIO = flags.DEFINE_enum(
    "scenario",
    "market",
    ["market", "scarce_labels", "dominant_bank"],
    "market: large banks, each serving one segment. scarce_labels: small banks that "
    "differ mildly. dominant_bank: one large bank and two small ones that differ.",
)
_HETEROGENEITY = flags.DEFINE_float(
    "heterogeneity",
    None,
    "How much the banks' customers differ, 0 (alike) to 1. Default: the scenario's.",
)


def main() -> None:
    """Runs the case study."""
    runtime = runtime_flags.Runtime([bank.name for bank in _scenario().banks])
    config = _config(runtime.name)
    directory = command_line.output_directory(_OUTPUT_DIR.value)

    with resume.claimed_folder(directory, config.to_mapping()) as folder:
        # TensorFlow takes seconds to import; whatever can fail before, has.
        from tff_finance.evaluation import case_study
        from tff_finance.evaluation.summary import build_summary
        from tff_finance.report.console import print_case_study

        with runtime.execution_context(directory):
            record = case_study.run_case_study(
                config, report_progress=command_line.report_progress, folder=folder
            )
        summary = build_summary(record)
        files.write_json(directory / "summary.json", summary)
    print_case_study(summary)
    command_line.report_progress(f"Wrote {directory / 'summary.json'} and record/.")


def _scenario() -> "Scenario":
    from tff_finance.datasets.scenarios import SCENARIOS

    return SCENARIOS[_SCENARIO.value]


def _config(runtime: str) -> CaseStudyConfig:
    """The configuration that the flags ask for; a usage error if there is none."""
    scenario = _scenario()
    try:
        training = training_flags.training(scenario.training)
        training.check_institutions([bank.name for bank in scenario.banks])
        return CaseStudyConfig(
            scenario=scenario.name,
            heterogeneity=(
                scenario.heterogeneity
                if _HETEROGENEITY.value is None
                else _HETEROGENEITY.value
            ),
            seeds=study_flags.seeds(),
            methods=study_flags.methods(),
            training=training,
            runtime=runtime,
        )
    except ValueError as error:
        command_line.usage_error(error)


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    command_line.run(main)
