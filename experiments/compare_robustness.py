"""One bank of five is hostile: which aggregation withstands it?

Trains FedAvg with the mean and with robust aggregations on the scenario five_banks,
without an attack and with each kind of it, and writes a summary.json per attack,
robustness.json and the picture robustness.png to --output_dir. A run that was killed
goes on where it was when it is started again.
"""

import contextlib
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import command_line, resume, runtime_flags
from tff_finance.records import files
from tff_finance.records.config import FIRST_REPORTED_SEED, CaseStudyConfig
from tff_finance.records.robustness import ATTACKS, NO_ATTACK, RobustnessConfig
from tff_finance.records.run_folder import RunFolder

if TYPE_CHECKING:
    from tff_finance.datasets.scenarios import Scenario

METHODS = (
    "fed_avg",
    "fed_avg_median",
    "fed_avg_trimmed_mean",
    "fed_avg_geometric_median",
    "fed_avg_clipping",
    "fed_avg_rejecting",
)
_METRICS = ("accuracy", "auc")
_COUNTS = ("rejected_updates", "runs_diverged")

# So that --help lists them too.
for _module in (runtime_flags, resume):
    flags.adopt_module_key_flags(_module)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder; made if missing.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "Number of repetitions.", lower_bound=1)
_FIRST_SEED = flags.DEFINE_integer(
    "first_seed",
    FIRST_REPORTED_SEED,
    "First seed; the others follow. Seeds from 0 on had a part in the choice of "
    "settings.",
    lower_bound=0,
)
_METHODS = flags.DEFINE_list("methods", list(METHODS), "Aggregations to compare.")
_ATTACKS = flags.DEFINE_list("attacks", list(ATTACKS), "Attacks to try them on.")
_ROUNDS = flags.DEFINE_integer("rounds", None, "Default: the scenario's.")
_HETEROGENEITY = flags.DEFINE_float(
    "heterogeneity", None, "How much the banks differ, 0 to 1. Default: the scenario's."
)
_HOSTILE = flags.DEFINE_string("hostile_institution", "bank_c", "Who is hostile.")
_FACTOR = flags.DEFINE_float(
    "attack_factor", 10.0, "By which what is sent is longer than the true update."
)
_TRIMMED_SHARE = flags.DEFINE_float(
    "trimmed_share", 0.2, "Of the updates, trimmed from either side."
)
_REJECTION_MULTIPLE = flags.DEFINE_float(
    "rejection_multiple", 3.0, "Norms above so many medians are rejected."
)


def main() -> None:
    """Runs all attacks."""
    runtime = runtime_flags.Runtime([bank.name for bank in _scenario().banks])
    configs = _configs(runtime.name)
    directory = command_line.output_directory(_OUTPUT_DIR.value)
    with contextlib.ExitStack() as stack:
        folders = [
            stack.enter_context(
                resume.claimed_folder(directory / attack, config.to_mapping())
            )
            for attack, config in configs.items()
        ]
        _run(configs, folders, directory, runtime)


def _run(
    configs: dict[str, CaseStudyConfig],
    folders: list[RunFolder],
    directory: pathlib.Path,
    runtime: runtime_flags.Runtime,
) -> None:
    # TensorFlow takes seconds to import; whatever can fail before, has.
    from tff_finance.evaluation import case_study
    from tff_finance.evaluation.summary import build_summary
    from tff_finance.report.robustness_figure import draw_robustness

    attacks = {}
    with runtime.execution_context(directory):
        for (attack, config), folder in zip(configs.items(), folders, strict=True):
            command_line.report_progress(f"attack: {attack}")
            record = case_study.run_case_study(
                config, report_progress=command_line.report_progress, folder=folder
            )
            summary = build_summary(record)
            files.write_json(folder.directory / "summary.json", summary)
            attacks[attack] = {
                method: {name: of_method["pooled"][name] for name in _METRICS}
                | {name: of_method[name] for name in _COUNTS}
                for method, of_method in summary["methods"].items()
            }
    result = {"schema": 1, "config": _shared(configs), "attacks": attacks}
    files.write_json(directory / "robustness.json", result)
    draw_robustness(result, directory / "robustness.png")
    _print_table(attacks)
    command_line.report_progress(
        f"Wrote {directory / 'robustness.json'} and robustness.png."
    )


def _shared(configs: dict[str, CaseStudyConfig]) -> dict[str, Any]:
    """The configuration of all; the attack, of which there are several, is null."""
    mapping = list(configs.values())[-1].to_mapping()
    if len(configs) > 1:
        of_all = {"attack": None, "hostile_institution": _HOSTILE.value}
        mapping["training"]["robustness"] |= of_all
    return mapping


def _print_table(attacks: dict[str, Any]) -> None:
    print("Accuracy on all test rows, %, mean over seeds [95 % interval]")
    print(f"{'':<26}" + "".join(f"{attack:>22}" for attack in attacks))
    for method in next(iter(attacks.values())):
        cells = (_cell(of_attack[method]["accuracy"]) for of_attack in attacks.values())
        print(f"{method:<26}" + "".join(f"{cell:>22}" for cell in cells))


def _cell(value: dict[str, Any]) -> str:
    mean, interval = f"{100 * value['mean']:.1f}", value["ci95"]
    if not interval:
        return mean
    low, high = (f"{100 * limit:.1f}" for limit in interval)
    return f"{mean} [{low}, {high}]"


def _scenario() -> "Scenario":
    from tff_finance.datasets.scenarios import FIVE_BANKS

    return FIVE_BANKS


def _configs(runtime: str) -> dict[str, CaseStudyConfig]:
    """One configuration per attack; a usage error if a flag makes no sense."""
    scenario = _scenario()
    names = [bank.name for bank in scenario.banks]
    if _HOSTILE.value not in names:
        command_line.usage_error(
            f"flag --hostile_institution: must be one of {', '.join(names)}, got "
            f"{_HOSTILE.value!r}"
        )
    heterogeneity, first = _HETEROGENEITY.value, _FIRST_SEED.value
    rounds = scenario.training.rounds if _ROUNDS.value is None else _ROUNDS.value
    try:
        configs = {
            attack: CaseStudyConfig(
                scenario=scenario.name,
                heterogeneity=(
                    scenario.heterogeneity if heterogeneity is None else heterogeneity
                ),
                seeds=tuple(range(first, first + _SEEDS.value)),
                methods=tuple(_METHODS.value),
                training=dataclasses.replace(
                    scenario.training,
                    rounds=rounds,
                    robustness=RobustnessConfig(
                        trimmed_share=_TRIMMED_SHARE.value,
                        rejection_multiple=_REJECTION_MULTIPLE.value,
                        attack=attack,
                        attack_factor=_FACTOR.value,
                        hostile_institution=(
                            "" if attack == NO_ATTACK else _HOSTILE.value
                        ),
                    ),
                ),
                runtime=runtime,
            )
            for attack in dict.fromkeys(_ATTACKS.value)
        }
        for config in configs.values():
            config.check_suits_institutions(scenario.train_rows)
    except ValueError as error:
        command_line.usage_error(error)
    return configs


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    command_line.run(main)
