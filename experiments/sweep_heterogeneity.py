"""The case study at several heterogeneities: where does the gain come from?

Runs local, FedAvg and centralized training at each level and writes a
summary.json per level, sweep.csv and the picture sweep.png to --output_dir. A
sweep that was killed goes on where it was when it is started again.
"""

import contextlib
import dataclasses
import pathlib
from typing import TYPE_CHECKING

from absl import flags

from experiments import command_line, resume, runtime_flags
from tff_finance.records import files
from tff_finance.records.config import FIRST_REPORTED_SEED, CaseStudyConfig
from tff_finance.records.run_folder import RunFolder

if TYPE_CHECKING:
    from tff_finance.datasets.scenarios import Scenario

# So that --help lists them too.
for _module in (runtime_flags, resume):
    flags.adopt_module_key_flags(_module)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder; made if missing.")
_SCENARIO = flags.DEFINE_enum(
    "scenario", "market", ["market", "scarce_labels", "dominant_bank"], "To sweep."
)
_LEVELS = flags.DEFINE_list(
    "levels", ["0", "0.5", "0.8", "0.9", "0.95", "1"], "Heterogeneities, 0 to 1."
)
_SEEDS = flags.DEFINE_integer("seeds", 5, "Number of repetitions.", lower_bound=1)
_FIRST_SEED = flags.DEFINE_integer(
    "first_seed",
    FIRST_REPORTED_SEED,
    "First seed; the others follow. Seeds from 0 on had a part in the choice of "
    "settings, seeds from 1000 on in the calibration.",
    lower_bound=0,
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", None, "Most FedAvg rounds. Default: the scenario's."
)
_MAX_EPOCHS = flags.DEFINE_integer(
    "max_epochs", None, "Most epochs of local and centralized. Default: the scenario's."
)


def main() -> None:
    """Runs the sweep."""
    runtime = runtime_flags.Runtime([bank.name for bank in _scenario().banks])
    configs = _configs(runtime.name)
    directory = command_line.output_directory(_OUTPUT_DIR.value)
    with contextlib.ExitStack() as stack:
        folders = [
            stack.enter_context(
                resume.claimed_folder(
                    directory / f"heterogeneity_{config.heterogeneity:g}",
                    config.to_mapping(),
                )
            )
            for config in configs
        ]
        _sweep(configs, folders, directory, runtime)


def _sweep(
    configs: list[CaseStudyConfig],
    folders: list[RunFolder],
    directory: pathlib.Path,
    runtime: runtime_flags.Runtime,
) -> None:
    # TensorFlow takes seconds to import; whatever can fail before, has.
    from tff_finance.evaluation import case_study
    from tff_finance.evaluation.summary import build_summary
    from tff_finance.report.sweep_section import (
        draw_heterogeneity_sweep,
        sweep_table,
    )

    summaries = []
    with runtime.execution_context(directory):
        for config, folder in zip(configs, folders, strict=True):
            command_line.report_progress(folder.directory.name)
            record = case_study.run_case_study(
                config, report_progress=command_line.report_progress, folder=folder
            )
            summaries.append(build_summary(record))
            files.write_json(folder.directory / "summary.json", summaries[-1])
    files.write_csv(directory / "sweep.csv", sweep_table(summaries))
    draw_heterogeneity_sweep(summaries, directory / "sweep.png")
    command_line.report_progress(f"Wrote {directory / 'sweep.png'} and sweep.csv.")


def _scenario() -> "Scenario":
    from tff_finance.datasets.scenarios import SCENARIOS

    return SCENARIOS[_SCENARIO.value]


def _configs(runtime: str) -> list[CaseStudyConfig]:
    """One configuration per level; a usage error if a flag makes no sense."""
    scenario = _scenario()
    given = {f.name: f.value for f in (_ROUNDS, _MAX_EPOCHS) if f.value is not None}
    first = _FIRST_SEED.value
    try:
        # As numbers, which name the folders: 0.5 and 0.50 are one.
        levels = [float(level) for level in _LEVELS.value]
        if len({f"{level:g}" for level in levels}) < len(levels):
            raise ValueError("flag --levels: each level must be given once")
        return [
            CaseStudyConfig(
                scenario=scenario.name,
                heterogeneity=level,
                seeds=tuple(range(first, first + _SEEDS.value)),
                methods=("local", "fed_avg", "centralized"),
                training=dataclasses.replace(scenario.training, **given),
                runtime=runtime,
            )
            for level in levels
        ]
    except ValueError as error:
        command_line.usage_error(error)


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    command_line.run(main)
