"""How much sooner does asynchronous training reach what FedAvg ends at?

Trains fed_avg and fed_buff on the same simulated clock, by default with one bank that
is ten times slower, on the case study's population or on a public table (--dataset,
--data_dir, --partition, --task). Prints when each reaches FedAvg's final AUC, and
writes asynchronous.json and asynchronous.png to --output_dir. docs/asynchronous.md
has the result.

Training flags that are not given take the task's values. Flags that neither method
reads are refused.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import command_line, data_flags, study_flags, training_flags
from tff_finance import checks
from tff_finance.records import files
from tff_finance.records.training_config import TASK_TRAINING, TrainingConfig

if TYPE_CHECKING:
    from tff_finance.datasets.contract import Contract
    from tff_finance.evaluation.methods import Learner
    from tff_finance.institutions.institution import Institution

# Of the flags of other binaries, those that say something here.
_READ = (
    *("task", "dataset", "data_dir", "partition", "contract", "table", "split"),
    *("clusters", "terminal_risk", "secure_counts", "seeds", "first_seed"),
    *("rounds", "patience", "local_epochs", "batch_size", "hidden_units", "weighting"),
    *("client_optimizer", "client_learning_rate"),
    *("server_optimizer", "server_learning_rate"),
    *("plateau_rates", "plateau_factor", "plateau_patience", "plateau_minimum"),
    *("institution_seconds", "outage_rate", "outage_seconds", "max_simulated_seconds"),
    *("buffer_size", "staleness_exponent", "max_staleness"),
    *("fed_buff_server_learning_rate", "fed_buff_rounds", "fed_buff_patience"),
)
for _name in _READ:
    flags.declare_key_flag(_name)  # so that --help shows them

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for asynchronous.json and asynchronous.png."
)
_TOLERANCE = flags.DEFINE_float(
    "tolerance",
    0.002,
    "What may be lacking to FedAvg's final AUC for it to count as reached.",
    lower_bound=0,
)
_METHODS = ("fed_avg", "fed_buff")
_SPEEDS = "one_slow(60, 10)"


def main() -> None:
    """Compares the two."""
    _check_flags()
    seeds = study_flags.seeds()
    data = _data(seeds[0])
    directory = command_line.output_directory(_OUTPUT_DIR.value)

    from tff_finance.evaluation.time_to_target import compare_times
    from tff_finance.report.asynchronous_figure import draw_asynchronous
    from tff_finance.runtime import in_process

    with in_process.execution_context():
        curves = [_run_seed(data, seed) for seed in seeds]
    result = {
        "schema": 1,
        "experiment": "asynchronous",
        "data": data.description,
        "seeds": list(seeds),
        "training": dataclasses.asdict(data.training),
        "tolerance": _TOLERANCE.value,
        **compare_times(curves, tolerance=_TOLERANCE.value),
        "runs": {
            name: [dataclasses.asdict(pair[number]) for pair in curves]
            for number, name in enumerate(_METHODS)
        },
    }
    files.write_json(directory / "asynchronous.json", result)
    draw_asynchronous(result, directory / "asynchronous.png")
    for line in _lines(result):
        print(line)
    command_line.report_progress(
        f"Wrote {directory / 'asynchronous.json'} and asynchronous.png."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Data:
    """What is trained on, and how.

    Attributes:
        description: The rows in a line.
        institutions: Their tables under a seed.
        contract: That these satisfy.
        training: The settings.
    """

    description: str
    institutions: "Callable[[int], Sequence[Institution]]"
    contract: "Contract"
    training: TrainingConfig


def _check_flags() -> None:
    """Refuses flags of other binaries that would change nothing."""
    unused = [
        flag.name
        for module in (data_flags, study_flags, training_flags)
        for flag in flags.FLAGS.get_key_flags_for_module(module)
        if flag.present and flag.name not in _READ
    ]
    if unused:
        command_line.usage_error(
            f"--{', --'.join(unused)} can't be given: {' and '.join(_METHODS)} are "
            "compared, whose flags --help lists"
        )


def _data(seed: int) -> _Data:
    """The rows and settings that the flags ask for; a usage error if there are none."""
    if data_flags.given():
        data_flags.check()
        training = _training(TASK_TRAINING[data_flags.task()])
        data = data_flags.data()
        data_flags.institutions(data, seed)
        return _Data(
            description=data_flags.description(data),
            institutions=data.source.institutions,
            contract=data.contract,
            training=training,
        )

    from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
    from tff_finance.datasets.scenarios import SCENARIOS

    scenario = SCENARIOS["market"]

    def institutions(seed: int) -> "Sequence[Institution]":
        from tff_finance.evaluation.case_study import draw_institutions

        return draw_institutions(scenario, seed)

    return _Data(
        description=f"case study, scenario {scenario.name}",
        institutions=institutions,
        contract=CREDIT_CONTRACT,
        training=_training(scenario.training),
    )


def _training(defaults: TrainingConfig) -> TrainingConfig:
    clock = dataclasses.replace(defaults.asynchronous, institution_seconds=_SPEEDS)
    try:
        training = training_flags.training(
            dataclasses.replace(defaults, asynchronous=clock)
        )
        training.check_suits(_METHODS)
    except ValueError as error:
        command_line.usage_error(error)
    return training


def _run_seed(data: _Data, seed: int) -> Any:
    """The curves of both methods under a seed."""
    from tff_finance.evaluation.time_to_target import timed_curve
    from tff_finance.preprocessing.consortium import encode_consortium

    try:
        institutions = data.institutions(seed)
    except ValueError as error:  # chance may leave an institution too few rows
        raise checks.RunFailedError(
            f"Under seed {seed} the institutions can't be made: {error}"
        ) from error
    consortium = encode_consortium(institutions, data.contract)
    learners = _learners(data.training, len(consortium.encoder.feature_names))
    curves = []
    for name, learner in zip(_METHODS, learners, strict=True):
        curve = timed_curve(learner, consortium, seed=seed, label=f"seed {seed} {name}")
        curves.append(curve)
        command_line.report_progress(
            f"seed {seed}  {name:<8} {curve.rounds:>5} rounds to "
            f"{curve.end_seconds:>9,.0f} s, AUC {curve.final_auc:.4f}"
        )
    return tuple(curves)


@functools.cache  # seeds share what was traced
def _learners(training: TrainingConfig, num_features: int) -> "Sequence[Learner]":
    from tff_finance.evaluation.asynchronous_methods import FedBuff
    from tff_finance.evaluation.method_suite import build_methods
    from tff_finance.evaluation.methods import Federated
    from tff_finance.institutions.examples import InMemory

    synchronous, asynchronous = build_methods(
        _METHODS, num_features, training, store=InMemory()
    )
    assert isinstance(synchronous, Federated)
    assert isinstance(asynchronous, FedBuff)
    return synchronous.learner, asynchronous.federated.learner


def _lines(result: dict[str, Any]) -> list[str]:
    rows = {
        "final AUC, fed_avg": result["final_auc"]["fed_avg"],
        "final AUC, fed_buff": result["final_auc"]["fed_buff"],
        "difference": result["difference"],
        "simulated seconds, fed_avg": result["seconds"]["fed_avg"],
        "simulated seconds, fed_buff": result["seconds"]["fed_buff"],
        "fed_buff's time over fed_avg's": result["ratio"],
    }
    return [f"{name:<31}{_shown(summary)}" for name, summary in rows.items()]


def _shown(summary: dict[str, Any]) -> str:
    if summary["mean"] is None:
        return f"{summary['reason']}: {summary['values']}"
    if not summary["ci95"]:
        return f"{summary['mean']:.4f} ({summary['reason']})"
    low, high = summary["ci95"]
    return f"{summary['mean']:.4f} (95 % interval {low:.4f} to {high:.4f})"


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    command_line.run(main)
