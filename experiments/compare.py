"""Compares banks that train alone, together and on pooled rows, on real tables.

Either on a public table that is dealt out to institutions (--dataset, --data_dir,
--partition), or on one file per institution (--contract, --table for each). Prints
the comparison and writes summary.json and the run record to --output_dir. A run
that was killed goes on where it was when it is started again with the same flags.

Training flags that are not given take the task's values.
"""

from absl import flags

from experiments import (
    command_line,
    data_flags,
    resume,
    runtime_flags,
    study_flags,
    training_flags,
)
from tff_finance.records import files

# So that --help lists them too.
for _module in (data_flags, study_flags, training_flags, runtime_flags, resume):
    flags.adopt_module_key_flags(_module)

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for summary.json and record/; made if missing."
)


def main() -> None:
    """Runs the comparison."""
    data_flags.check()
    study_flags.check_promises()
    directory = command_line.output_directory(_OUTPUT_DIR.value)
    data = data_flags.data()
    seeds = study_flags.seeds()
    train_rows = data_flags.institutions(data, seeds[0])
    institutions = list(train_rows)
    runtime = runtime_flags.Runtime(institutions)
    config = data_flags.config(
        data,
        runtime.name,
        seeds=seeds,
        methods=study_flags.methods(),
        contribution=study_flags.contribution(institutions),
        train_rows=train_rows,
    )
    for note in data.notes():
        command_line.report_progress(f"note: {note}")
    with resume.claimed_folder(directory, config.to_mapping()) as folder:
        # TensorFlow takes seconds to import; whatever can fail before, has.
        from tff_finance.evaluation.comparison import run_comparison
        from tff_finance.evaluation.summary import build_summary
        from tff_finance.report.comparison_console import print_comparison

        with runtime.execution_context(directory):
            record = run_comparison(
                config,
                data.source,
                data.contract,
                scenario=data.scenario,
                report_progress=command_line.report_progress,
                folder=folder,
                exchanged_for_features=data.exchanged_types(),
            )
        summary = build_summary(record)
        files.write_json(directory / "summary.json", summary)
    print_comparison(summary)
    command_line.report_progress(f"Wrote {directory / 'summary.json'} and record/.")


if __name__ == "__main__":
    flags.mark_flags_as_required(["output_dir", "task"])
    command_line.run(main)
