"""Searches for training settings, by validation rows alone.

For one method, on the case study's population or, with --task, on real tables as
experiments.compare takes them. Every trial trains under each tuning seed; the best has
the least mean validation log loss. Writes trials.csv and best.flags, which --flagfile
of the other binaries takes, to --output_dir. A search that was killed goes on with the
trials that are done when it is started again with the same flags; with more --trials,
a finished one goes on too.

Training flags that are given hold for all trials.
"""

import importlib.metadata
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import (
    command_line,
    data_flags,
    promise_flags,
    resume,
    runtime_flags,
    scenario_flags,
    training_flags,
)
from tff_finance.records import files
from tff_finance.records.comparison_config import ComparisonConfig
from tff_finance.records.config import FIRST_REPORTED_SEED, CaseStudyConfig, StudyConfig
from tff_finance.records.method_names import METHODS, PRIVATE_METHODS
from tff_finance.records.search_space import (
    FORMS,
    Dimension,
    check_values,
    first_values,
    parse_search,
)
from tff_finance.records.tuning_config import TuningConfig

if TYPE_CHECKING:
    from experiments.comparison_data import ComparisonData
    from tff_finance.evaluation.trials import Trial
    from tff_finance.evaluation.validation_loss import Context, ValidationLoss

_FIRST_TUNING_SEED = 1000
_TUNABLE = [method for method in METHODS if method != "gradient_boosting"]

# So that --help lists them too.
for _module in (scenario_flags, data_flags, training_flags, runtime_flags, resume):
    flags.adopt_module_key_flags(_module)

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for trials.csv and best.flags; made if missing."
)
_METHOD = flags.DEFINE_enum("method", "fed_avg", _TUNABLE, "Whose settings to search.")
_SEARCH = flags.DEFINE_multi_string(
    "search",
    None,
    f"A training flag and what to try for it, as {FORMS}; once for each. Several "
    "widths of layers: hidden_units=32x16,64x32.",
)
_TRIALS = flags.DEFINE_integer("trials", 30, "Trials in all.", lower_bound=1)
_SEEDS = flags.DEFINE_integer(
    "seeds", 3, "Number of seeds that each trial trains under.", lower_bound=1
)
_FIRST_SEED = flags.DEFINE_integer(
    "first_seed",
    _FIRST_TUNING_SEED,
    "First of these; the others follow. Must not be reported.",
    lower_bound=0,
)
_REPORTED_SEEDS = flags.DEFINE_integer(
    "reported_seeds",
    5,
    "Number of seeds that results will be reported for. Of real tables, rows that are "
    "test rows under any of them are left out.",
    lower_bound=1,
)
_FIRST_REPORTED_SEED = flags.DEFINE_integer(
    "first_reported_seed", FIRST_REPORTED_SEED, "First of these.", lower_bound=0
)
_SAMPLER_SEED = flags.DEFINE_integer(
    "sampler_seed", 0, "Of what is tried.", lower_bound=0
)
_PRUNE = flags.DEFINE_bool(
    "prune",
    False,
    "Give a trial up after a seed when it is worse so far than the median of complete "
    "trials, of which there must be 5; see docs/tuning.md.",
)


def main() -> None:
    """Runs the search."""
    dimensions = _dimensions()
    promise_flags.check_kept([_METHOD.value])
    on_tables = bool(data_flags.given())
    if on_tables:
        _check_tables_alone(first_values(dimensions))
    _check_optuna()
    data = data_flags.data() if on_tables else None
    config, runtime = _config_and_runtime(data, dimensions)
    directory = command_line.output_directory(_OUTPUT_DIR.value)
    for note in [*(data.notes() if data else ()), *_privacy_notes()]:
        command_line.report_progress(f"note: {note}")

    def report(trials: "Sequence[Trial]") -> None:
        command_line.report_progress(trial_line(trials, _TRIALS.value))
        _write(directory, config, trials)

    with resume.claimed_folder(directory, config.to_mapping()):
        # TensorFlow takes seconds to import; whatever can fail before, has.
        from tff_finance.evaluation.search import run_search
        from tff_finance.evaluation.trials import best, trial_line

        trials = run_search(
            _loss(config, data, lambda: runtime.execution_context(directory)),
            dimensions,
            trials=_TRIALS.value,
            seed=config.sampler_seed,
            file=directory / "checkpoints" / "trials.sqlite",
            prune=config.prune,
            done=report,
        )
        _write(directory, config, trials)
    found = best(trials)
    print(f"Best of {len(trials)} trials, validation log loss {found.loss:.6f}:")
    print((directory / "best.flags").read_text(), end="")
    command_line.report_progress(f"Wrote {directory / 'best.flags'} and trials.csv.")


def _dimensions() -> list[Dimension]:
    """What is varied; a usage error if that makes no sense, or is given as well."""
    try:
        dimensions = parse_search(_SEARCH.value)
    except ValueError as error:
        command_line.usage_error(f"flag --search: {error}")
    if both := {d.name for d in dimensions} & set(training_flags.given()):
        command_line.usage_error(
            f"--{', --'.join(sorted(both))} can't be both given and searched"
        )
    return dimensions


def _check_tables_alone(varied: Mapping[str, Any]) -> None:
    if given := scenario_flags.given():
        command_line.usage_error(
            f"--{', --'.join(given)} are of the case study and "
            f"--{', --'.join(data_flags.given())} of real tables: give either"
        )
    data_flags.check(varied)


def _check_optuna() -> None:
    try:
        import optuna  # noqa: F401  # a search without it would end after TensorFlow
    except ModuleNotFoundError as error:
        command_line.failure(
            f"{error.name} isn't installed, which a search needs: install tff-finance "
            "with its extra `tune`, or `optuna>=4,<5`."
        )


def _privacy_notes() -> list[str]:
    if _METHOD.value not in PRIVATE_METHODS:
        return []
    return [
        "every trial spends privacy of the same records. No ledger counts that, and "
        "the best trial's epsilon doesn't cover it: tune on rows that need no "
        "protection."
    ]


def _seeds() -> tuple[int, ...]:
    return tuple(range(_FIRST_SEED.value, _FIRST_SEED.value + _SEEDS.value))


def _config_and_runtime(
    data: "ComparisonData | None", dimensions: Sequence[Dimension]
) -> tuple[TuningConfig, runtime_flags.Runtime]:
    """Of the method and the seeds that are tuned on."""
    # Settings that aren't varied may make no sense without those that are.
    methods, varied = (_METHOD.value,), first_values(dimensions)
    if not data:
        banks = [bank.name for bank in scenario_flags.scenario().banks]
        runtime = runtime_flags.Runtime(banks)
        study = scenario_flags.config(
            runtime.name, seeds=_seeds(), methods=methods, varied=varied
        )
        return _config(study, dimensions), runtime
    train_rows = data_flags.institutions(data, _seeds()[0])
    runtime = runtime_flags.Runtime(list(train_rows))
    study = data_flags.config(
        data,
        runtime.name,
        seeds=_seeds(),
        methods=methods,
        train_rows=train_rows,
        varied=varied,
    )
    return _config(study, dimensions), runtime


def _config(study: StudyConfig, dimensions: Sequence[Dimension]) -> TuningConfig:
    """The search that the flags ask for; a usage error if there is none."""
    first = _FIRST_REPORTED_SEED.value
    try:
        check_values(dimensions, study.training)
    except ValueError as error:
        command_line.usage_error(f"flag --search: {error}")
    try:
        return TuningConfig(
            study=study,
            search=tuple(map(str, dimensions)),
            reported_seeds=tuple(range(first, first + _REPORTED_SEEDS.value)),
            sampler_seed=_SAMPLER_SEED.value,
            prune=_PRUNE.value,
            optuna=importlib.metadata.version("optuna"),
        )
    except ValueError as error:
        command_line.usage_error(error)


def _loss(
    config: TuningConfig,
    data: "ComparisonData | None",
    context: "Context",
) -> "ValidationLoss":
    """What is minimized. Imports TensorFlow."""
    from tff_finance.evaluation import tuning

    if isinstance(config.study, ComparisonConfig):
        assert data
        return tuning.comparison_loss(
            config.study,
            data.source,
            data.contract,
            reported_seeds=config.reported_seeds,
            context=context,
            report_progress=command_line.report_progress,
        )
    assert isinstance(config.study, CaseStudyConfig)
    return tuning.case_study_loss(
        config.study, context=context, report_progress=command_line.report_progress
    )


def _write(
    directory: pathlib.Path, config: TuningConfig, trials: "Sequence[Trial]"
) -> None:
    """Writes all trials, and the best of them for --flagfile."""
    from tff_finance.evaluation.trials import best, flag_file, trial_table

    seeds = config.study.seeds
    files.write_csv(directory / "trials.csv", trial_table(trials, seeds))
    if all(trial.loss is None for trial in trials):
        return
    found = best(trials)
    text = flag_file(
        found.settings,
        given=list(training_flags.given().values()),
        comments=[
            f"Trial {found.number} of {len(trials)} by experiments.tune, of "
            f"{config.study.methods[0]}: validation log loss {found.loss:.6f},",
            f"mean of seeds {', '.join(map(str, seeds))}. Searched: "
            f"{' '.join(config.search)}",
        ],
    )
    files.write_text(directory / "best.flags", text)


if __name__ == "__main__":
    flags.mark_flags_as_required(["output_dir", "search"])
    command_line.run(main)
