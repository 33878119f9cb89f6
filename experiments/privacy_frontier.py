"""What privacy costs and what it buys, at several epsilons, record level.

Trains FedAvg by DP-SGD at each epsilon, the same without clipping and noise, and
FedAvg with early stopping; judges them on test rows and attacks them by membership
inference. On the case study, or with the data flags of experiments.compare on real
tables, such as --flagfile=experiments/presets/taiwan.flags. Prints sentences to
quote, and writes privacy_frontier.json and privacy_frontier.png to --output_dir. A run
that was killed goes on where it was when it is started again with the same flags.

--methods, which presets have, has no part in it. Needs the extra `attacks`.
"""

from typing import TYPE_CHECKING

from absl import flags

from experiments import (
    command_line,
    data_flags,
    promise_flags,
    resume,
    study_flags,
    training_flags,
)
from tff_finance import checks
from tff_finance.records import files
from tff_finance.records.config import CaseStudyConfig, StudyConfig

if TYPE_CHECKING:
    from tff_finance.evaluation.privacy_frontier import FrontierData

for _module in (data_flags, study_flags, training_flags, resume):
    flags.adopt_module_key_flags(_module)

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for privacy_frontier.json and .png; made if missing."
)
_EPSILONS = flags.DEFINE_list(
    "epsilons", ["0.5", "1", "2", "4", "8"], "Budgets of a record at its bank."
)
_SCENARIO = flags.DEFINE_enum(
    "scenario",
    "market",
    ["market", "scarce_labels"],
    "Of the case study, where no real tables are given.",
)
# What is set for each level.
_BY_EPSILONS = ("target_epsilon", "noise_multiplier")
_METHODS = ("fed_avg_dp_sgd", "fed_avg_poisson", "fed_avg")


def main() -> None:
    """Runs the frontier."""
    epsilons = _epsilons()
    _check_promises()
    command_line.check_attacks_installed()
    directory = command_line.output_directory(_OUTPUT_DIR.value)
    real = bool(data_flags.given())
    config, data, description = _real() if real else _case_study()
    settings = config.to_mapping() | {"epsilons": epsilons}
    with resume.claimed_folder(directory, settings) as folder:
        from tff_finance.evaluation.frontier_summary import (
            SCHEMA_VERSION,
            summarize_frontier,
        )
        from tff_finance.evaluation.privacy_frontier import run_frontier
        from tff_finance.records.versions import result_versions
        from tff_finance.report.frontier_figure import draw_frontier
        from tff_finance.report.frontier_sentences import frontier_sentences
        from tff_finance.runtime import in_process

        with in_process.execution_context():
            seeds = run_frontier(
                config,
                data,
                epsilons,
                folder=folder,
                report_progress=command_line.report_progress,
            )
        levels = summarize_frontier(seeds, redrawn=not real)
        frontier = {
            "schema": SCHEMA_VERSION,
            "experiment": "privacy_frontier",
            "data": description,
            "metric": "auc" if real else "accuracy",
            "config": settings,
            "versions": result_versions(),
            "seeds": list(config.seeds),
            "institutions": list(next(iter(levels.values()))["own"]),
            "levels": levels,
        }
        frontier["sentences"] = frontier_sentences(frontier)
        files.write_json(directory / "privacy_frontier.json", frontier)
        draw_frontier(frontier, directory / "privacy_frontier.png")
    print("\n".join(frontier["sentences"]))
    command_line.report_progress(f"Wrote {directory / 'privacy_frontier.json'}, .png.")


def _epsilons() -> list[float]:
    try:
        epsilons = sorted({float(epsilon) for epsilon in _EPSILONS.value})
        for epsilon in epsilons:
            checks.check_positive("epsilons", epsilon)
    except ValueError:
        command_line.usage_error(
            "flag --epsilons: must be numbers above 0 such as 0.5,1,8; got "
            f"{','.join(_EPSILONS.value)}"
        )
    return epsilons


def _check_promises() -> None:
    """Refuses what would state another protection than there is."""
    given = [name for name in _BY_EPSILONS if flags.FLAGS[name].present]
    if given:
        command_line.usage_error(
            f"--{', --'.join(given)} can't be given: noise is calibrated to each of "
            "--epsilons"
        )
    promise_flags.check_kept(_METHODS)


def _case_study() -> tuple[StudyConfig, "FrontierData", str]:
    from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
    from tff_finance.datasets.scenarios import SCENARIOS

    scenario = SCENARIOS[_SCENARIO.value]
    try:
        config = CaseStudyConfig(
            scenario=scenario.name,
            heterogeneity=scenario.heterogeneity,
            seeds=study_flags.seeds(),
            methods=_METHODS,
            training=training_flags.training(scenario.training),
        )
    except ValueError as error:
        command_line.usage_error(error)
    from tff_finance.evaluation.case_study import draw_institutions
    from tff_finance.evaluation.privacy_frontier import FrontierData
    from tff_finance.tasks.risk import RISK

    data = FrontierData(
        contract=CREDIT_CONTRACT,
        institutions=lambda seed: draw_institutions(scenario, seed),
        task=RISK,
        resamples=100,  # seeds redraw the rows, so that these intervals aren't shown
    )
    return config, data, f"case study, scenario {scenario.name}"


def _real() -> tuple[StudyConfig, "FrontierData", str]:
    data_flags.check()
    data_flags.check_one_law()
    data = data_flags.data()
    config = data_flags.config(
        data, "in_process", seeds=study_flags.seeds(), methods=_METHODS
    )
    from tff_finance.evaluation.privacy_frontier import FrontierData
    from tff_finance.tasks.catalogue import TASKS

    frontier_data = FrontierData(
        contract=data.contract,
        institutions=data.source.institutions,
        task=TASKS[config.task],
        resamples=config.resamples,
    )
    return config, frontier_data, f"{data.title}, partition {config.partition}"


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    command_line.run(main)
