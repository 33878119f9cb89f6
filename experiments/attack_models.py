"""What do models and updates tell of the rows behind them? Attacks that try it.

Membership inference on models that institutions train together and alone, inversion
of the updates that they send, one by one and summed, and canaries that audit private
training; without protection and with record-level privacy at several epsilons. On the
case study's population, or on a public table or own files (--task and the flags of
experiments.compare). Writes summary.json and the run record to --output_dir.

Needs the extra `attacks`. docs/attacks.md says what each number means.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import command_line, data_flags, scenario_flags, training_flags
from tff_finance.records import files
from tff_finance.records.attack_config import (
    OVERFITTED,
    STANDARD,
    AttackConfig,
    MembershipConfig,
)
from tff_finance.records.config import FIRST_REPORTED_SEED
from tff_finance.records.training_config import TrainingConfig

if TYPE_CHECKING:
    from experiments.comparison_data import ComparisonData
    from tff_finance.datasets.scenarios import Scenario

for _module in (data_flags, scenario_flags, training_flags):
    flags.adopt_module_key_flags(_module)  # so that --help shows them

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for summary.json and record/; made if missing."
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of repetitions.", lower_bound=1)
_FIRST_SEED = flags.DEFINE_integer(
    "first_seed", FIRST_REPORTED_SEED, "First seed; the others follow.", lower_bound=0
)
_EPSILONS = flags.DEFINE_list(
    "epsilons", ["8", "2"], "Of record-level privacy that models are protected with."
)
_ROWS = flags.DEFINE_integer(
    "rows",
    STANDARD.rows,
    "Members of each institution, and as many others; below 999 there is no rate at "
    "0.1 % false positives.",
)
_SHADOWS = flags.DEFINE_integer(
    "shadows", STANDARD.shadows, "Shadow models of LiRA, an even number; 0 for none."
)
_UPDATES = flags.DEFINE_integer("updates", 40, "Updates inverted in closed form.")
_MATCHED_UPDATES = flags.DEFINE_integer(
    "matched_updates", 5, "Updates inverted by gradient matching."
)
_MATCHING_STEPS = flags.DEFINE_integer(
    "matching_steps", 2000, "Steps of gradient matching."
)
_OVERFITTED_ROUNDS = flags.DEFINE_integer(
    "overfitted_rounds", OVERFITTED.rounds, "Rounds of the training that memorises."
)
_INVERTED_ROWS = flags.DEFINE_list(
    "inverted_rows", None, "Rows behind one institution's update."
)
_SUMMED = flags.DEFINE_list(
    "summed_institutions", None, "How many institutions' updates a sum is of."
)
_FIRST_LAYER = flags.DEFINE_list(
    "first_layer_units", None, "Widths of the first layer of inverted models."
)
_CANARY_RUNS = flags.DEFINE_integer(
    "canary_runs", 1000, "Runs with a canary, and as many without."
)

_CANARY_EPSILONS = flags.DEFINE_list(
    "canary_epsilons",
    ["2", "1"],
    "Audited by canaries: below 4.2, or 1,000 runs can't refute them.",
)

# Of the training flags, those that attacked models have; local steps are plain SGD.
_OF_TRAINING = (
    "rounds",
    "batch_size",
    "hidden_units",
    "client_learning_rate",
    "l2_clip_norm",
)
_OF_OTHER_BINARIES = ("class_weights", "payments", "resamples")


def main() -> None:
    """Runs the attacks."""
    command_line.check_attacks_installed()
    data = _table()
    config = _config(data.dataset if data else _scenario().name)
    directory = command_line.output_directory(_OUTPUT_DIR.value)
    # TensorFlow takes seconds to import; whatever can fail before, has.
    from tff_finance.evaluation.attacks.study import run_attacks
    from tff_finance.evaluation.summary import build_summary
    from tff_finance.runtime import in_process

    with in_process.execution_context():
        record = run_attacks(
            config,
            **(_of_table(data) if data else _of_scenario()),
            report_progress=command_line.report_progress,
        )
    summary = build_summary(record)
    record.write(directory / "record")
    files.write_json(directory / "summary.json", summary)
    command_line.report_progress(
        f"Wrote {directory / 'summary.json'} and record/; experiments.write_report "
        "makes a page of it."
    )


def _table() -> "ComparisonData | None":
    """The table that the flags name, if any; a usage error if they can't be met."""
    given = [
        *training_flags.given(),
        *(name for name in _OF_OTHER_BINARIES if flags.FLAGS[name].present),
    ]
    if unused := [name for name in given if name not in _OF_TRAINING]:
        command_line.usage_error(
            f"--{', --'.join(unused)} can't be given: attacked models are trained by "
            f"plain SGD for a fixed number of rounds, by --{', --'.join(_OF_TRAINING)}"
        )
    if flags.FLAGS["task"].value is None:
        if flags.FLAGS["dataset"].value or flags.FLAGS["contract"].value:
            command_line.usage_error("--task must be given with a table")
        return None
    if unused := scenario_flags.given():
        command_line.usage_error(f"--{unused[0]} can't be given with --task")
    data_flags.check()
    data_flags.check_one_law()
    data = data_flags.data()
    data_flags.institutions(data, _FIRST_SEED.value)
    return data


def _scenario() -> "Scenario":
    """The scenario that the flags ask for; a usage error if there is none."""
    scenario = scenario_flags.scenario()
    level = flags.FLAGS["heterogeneity"].value
    try:
        if level is None:
            return scenario
        return dataclasses.replace(scenario, heterogeneity=level)
    except ValueError as error:
        command_line.usage_error(error)


def _config(data: str) -> AttackConfig:
    """The configuration that the flags ask for; a usage error if there is none."""
    try:
        return _with_flags(AttackConfig(seeds=(0,), data=data))
    except ValueError as error:
        command_line.usage_error(error)


def _with_flags(config: AttackConfig) -> AttackConfig:
    first = _FIRST_SEED.value
    return dataclasses.replace(
        config,
        seeds=tuple(range(first, first + _SEEDS.value)),
        epsilons=tuple(float(epsilon) for epsilon in _EPSILONS.value),
        l2_clip_norm=_clip_norm(config.l2_clip_norm),
        standard=_standard(),
        overfitted=dataclasses.replace(
            config.overfitted,
            shadows=_SHADOWS.value,
            rounds=_OVERFITTED_ROUNDS.value,
        ),
        inversion=dataclasses.replace(
            config.inversion,
            updates=_UPDATES.value,
            matched_updates=_MATCHED_UPDATES.value,
            matching_steps=_MATCHING_STEPS.value,
            **_grid(),
        ),
        canary=dataclasses.replace(
            config.canary,
            runs=_CANARY_RUNS.value,
            epsilons=tuple(float(epsilon) for epsilon in _CANARY_EPSILONS.value),
        ),
    )


def _clip_norm(default: float) -> float:
    given = flags.FLAGS["l2_clip_norm"].value
    return default if given is None else given


def _grid() -> dict[str, tuple[int, ...]]:
    """Which updates are inverted, as far as flags say so."""
    named = {
        "batch_sizes": _INVERTED_ROWS,
        "institutions": _SUMMED,
        "hidden_units": _FIRST_LAYER,
    }
    given = {field: flag for field, flag in named.items() if flag.value is not None}
    for flag in given.values():
        if not all(value.isdigit() for value in flag.value):
            raise ValueError(
                f"flag --{flag.name} must be whole numbers such as 1,8; got "
                f"{','.join(flag.value)}."
            )
    return {
        field: tuple(int(value) for value in flag.value)
        for field, flag in given.items()
    }


def _standard() -> MembershipConfig:
    training = training_flags.training(
        TrainingConfig(
            rounds=STANDARD.rounds,
            batch_size=STANDARD.batch_size,
            hidden_units=STANDARD.hidden_units,
            client_learning_rate=STANDARD.learning_rate,
        )
    )
    return MembershipConfig(
        rows=_ROWS.value,
        rounds=training.rounds,
        batch_size=training.batch_size,
        hidden_units=training.hidden_units,
        learning_rate=training.client_learning_rate,
        shadows=_SHADOWS.value,
    )


def _of_scenario() -> dict[str, Any]:
    from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
    from tff_finance.evaluation.case_study import draw_institutions
    from tff_finance.tasks.risk import RISK

    scenario = _scenario()
    return {
        "institutions": lambda seed: draw_institutions(scenario, seed),
        "contract": CREDIT_CONTRACT,
        "task": RISK,
        "scenario": scenario.to_mapping(),
    }


def _of_table(data: "ComparisonData") -> dict[str, Any]:
    from tff_finance.tasks.catalogue import TASKS

    return {
        "institutions": data.source.institutions,
        "contract": data.contract,
        "task": TASKS[flags.FLAGS["task"].value],
        "scenario": data.scenario,
    }


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    command_line.run(main)
