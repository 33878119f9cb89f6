"""Three banks train a joint credit-risk model: what is that worth?

Compares banks that train alone, together by federated learning, and on pooled
rows, on a synthetic population made for the purpose. Prints the comparison and
writes summary.json and the run record to --output_dir. A run that was killed goes
on where it was when it is started again with the same flags.

Training flags that are not given take the scenario's values.
"""

import dataclasses
from typing import TYPE_CHECKING

from absl import flags

from experiments import command_line, resume, runtime_flags
from tff_finance.records import files
from tff_finance.records.config import (
    FIRST_REPORTED_SEED,
    METHODS,
    WEIGHTINGS,
    CaseStudyConfig,
)

if TYPE_CHECKING:
    from tff_finance.datasets.scenarios import Scenario

flags.adopt_module_key_flags(runtime_flags)  # so that --help shows them
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for summary.json and record/; made if missing."
)
_SCENARIO = flags.DEFINE_enum(
    "scenario",
    "market",
    ["market", "scarce_labels"],
    "market: large banks, each serving one segment. scarce_labels: small banks that "
    "differ mildly.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 5, "Number of repetitions; each redraws everything.", lower_bound=1
)
_FIRST_SEED = flags.DEFINE_integer(
    "first_seed",
    FIRST_REPORTED_SEED,
    "First seed; the others follow. Seeds from 0 on had a part in the choice of "
    "settings, seeds from 1000 on in the calibration.",
    lower_bound=0,
)
_METHODS = flags.DEFINE_list(
    "methods", list(METHODS), f"Methods to compare, of: {', '.join(METHODS)}."
)
_HETEROGENEITY = flags.DEFINE_float(
    "heterogeneity",
    None,
    "How much the banks' customers differ, 0 (alike) to 1. Default: the scenario's.",
)

# Each flag sets the field of TrainingConfig that it is named after.
_TRAINING = (
    flags.DEFINE_integer("rounds", None, "Most FedAvg rounds."),
    flags.DEFINE_integer("local_epochs", None, "Epochs per FedAvg round."),
    flags.DEFINE_integer("batch_size", None, "Rows of a local batch."),
    flags.DEFINE_float("client_learning_rate", None, "Of local SGD."),
    flags.DEFINE_enum("weighting", None, WEIGHTINGS, "Weight of a bank's update."),
    flags.DEFINE_list("hidden_units", None, "Widths of the hidden layers."),
    flags.DEFINE_integer("fed_sgd_rounds", None, "Most FedSGD rounds."),
    flags.DEFINE_integer(
        "fed_sgd_patience", None, "The patience of FedSGD, whose rounds are steps."
    ),
    flags.DEFINE_integer(
        "fed_sgd_validate_every", None, "FedSGD rounds between two validations."
    ),
    flags.DEFINE_float("fed_sgd_learning_rate", None, "Of FedSGD's server step."),
    flags.DEFINE_integer("max_epochs", None, "Most epochs of local and centralized."),
    flags.DEFINE_integer(
        "patience",
        None,
        "Rounds or epochs without better validation loss before FedAvg, local and "
        "centralized stop.",
    ),
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
    given = {f.name: f.value for f in _TRAINING if f.value is not None}
    first = _FIRST_SEED.value
    try:
        if "hidden_units" in given:
            given["hidden_units"] = _widths(given["hidden_units"])
        return CaseStudyConfig(
            scenario=scenario.name,
            heterogeneity=(
                scenario.heterogeneity
                if _HETEROGENEITY.value is None
                else _HETEROGENEITY.value
            ),
            seeds=tuple(range(first, first + _SEEDS.value)),
            methods=tuple(_METHODS.value),
            training=dataclasses.replace(scenario.training, **given),
            runtime=runtime,
        )
    except ValueError as error:
        command_line.usage_error(error)


def _widths(given: list[str]) -> tuple[int, ...]:
    if not all(width.isdigit() for width in given):
        raise ValueError(
            f"`hidden_units` must be whole numbers such as 32,16; got {given}."
        )
    return tuple(int(width) for width in given)


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    command_line.run(main)
