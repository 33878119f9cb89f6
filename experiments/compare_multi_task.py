"""Banks with the same features and different targets: does a shared trunk help?

Three banks of a synthetic market predict different things of their customers. Alone,
each trains its own network; together, one trunk and a head each (fed_per). Prints what
that adds at each bank, and writes summary.json and the run record to --output_dir. A
run that was killed goes on where it was when it is started again with the same flags.
"""

from absl import flags

from experiments import (
    command_line,
    promise_flags,
    resume,
    runtime_flags,
    study_flags,
    training_flags,
)
from tff_finance import checks
from tff_finance.records import files
from tff_finance.records.config import CaseStudyConfig

# So that --help lists them too.
for _module in (training_flags, runtime_flags, resume):
    flags.adopt_module_key_flags(_module)
flags.declare_key_flag("seeds")
flags.declare_key_flag("first_seed")

_COMPARABLE = ("fed_avg", "fine_tuned", "fed_per")
_BANKS = ("bank_a", "bank_b", "bank_c")

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for summary.json and record/; made if missing."
)
_TRAIN_ROWS = flags.DEFINE_list(
    "train_rows", ["250", "500", "1000"], "Labelled customers of the three banks."
)
_COMPARED = flags.DEFINE_list(
    "compared",
    list(_COMPARABLE),
    f"What to compare with local, of: {', '.join(_COMPARABLE)}. fed_avg takes all "
    "labels for the same, which they aren't: it shows what that costs.",
)


def main() -> None:
    """Runs the comparison."""
    runtime = runtime_flags.Runtime(_BANKS)
    rows = _train_rows()

    from tff_finance.datasets.different_targets import different_targets

    scenario = different_targets(rows)
    try:
        for name in _COMPARED.value:
            checks.check_one_of("compared", name, _COMPARABLE)
        config = CaseStudyConfig(
            scenario=scenario.name,
            heterogeneity=scenario.heterogeneity,
            seeds=study_flags.seeds(),
            methods=("local", *_COMPARED.value),
            training=training_flags.training(scenario.training),
            runtime=runtime.name,
        )
        config.check_suits_institutions(scenario.train_rows)
    except ValueError as error:
        command_line.usage_error(error)
    promise_flags.check_kept(config.methods)
    directory = command_line.output_directory(_OUTPUT_DIR.value)

    with resume.claimed_folder(directory, config.to_mapping()) as folder:
        # TensorFlow takes seconds to import; whatever can fail before, has.
        from tff_finance.evaluation import case_study
        from tff_finance.evaluation.summary import build_summary
        from tff_finance.report.multi_task_console import print_multi_task

        with runtime.execution_context(directory):
            record = case_study.run_case_study(
                config,
                report_progress=command_line.report_progress,
                folder=folder,
                scenario=scenario,
            )
        summary = build_summary(record)
        files.write_json(directory / "summary.json", summary)
    print_multi_task(summary)
    command_line.report_progress(f"Wrote {directory / 'summary.json'} and record/.")


def _train_rows() -> tuple[int, ...]:
    """As asked for; a usage error if there is anything wrong with them."""
    given = _TRAIN_ROWS.value
    if len(given) != len(_BANKS) or not all(rows.isdigit() for rows in given):
        command_line.usage_error(
            f"`train_rows` must be {len(_BANKS)} whole numbers such as 250,500,1000; "
            f"got {given}."
        )
    if min(map(int, given)) < 2:  # noqa: PLR2004
        command_line.usage_error(
            f"`train_rows` must be at least 2, so that one is left to validate; got "
            f"{given}."
        )
    return tuple(int(rows) for rows in given)


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    command_line.run(main)
