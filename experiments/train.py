"""Trains one model on real tables and saves it, ready to score.

Either on a public table that is dealt out to institutions (--dataset, --data_dir,
--partition), or on one file per institution (--contract, --table for each). Writes
the model, with its contract and encoder, to model/ in --output_dir, and what
`experiments.compare` writes for a single method besides: test rows are judged once,
when the model is saved. A run that was killed goes on where it was when it is
started again with the same flags.

Training flags that are not given take the task's values.
"""

from absl import flags

from experiments import (
    command_line,
    data_flags,
    promise_flags,
    resume,
    runtime_flags,
    training_flags,
)
from tff_finance.records import files, model_folder
from tff_finance.records.config import FIRST_REPORTED_SEED
from tff_finance.records.method_names import GLOBAL_NETWORK_METHODS

for _module in (data_flags, training_flags, runtime_flags, resume):
    flags.adopt_module_key_flags(_module)

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for model/, summary.json and record/; made if missing."
)
_ALGORITHM = flags.DEFINE_enum(
    "algorithm", "fed_avg", GLOBAL_NETWORK_METHODS, "How the model is trained."
)
_SEED = flags.DEFINE_integer(
    "seed",
    FIRST_REPORTED_SEED,
    "Decides the split, the initialisation and the order of batches.",
    lower_bound=0,
)


def main() -> None:
    """Trains and saves the model."""
    data_flags.check()
    promise_flags.check_kept([_ALGORITHM.value])
    directory = command_line.output_directory(_OUTPUT_DIR.value)
    data = data_flags.data()
    train_rows = data_flags.institutions(data, _SEED.value)
    runtime = runtime_flags.Runtime(list(train_rows))
    config = data_flags.config(
        data,
        runtime.name,
        seeds=(_SEED.value,),
        methods=(_ALGORITHM.value,),
        train_rows=train_rows,
    )
    for note in data.notes():
        command_line.report_progress(f"note: {note}")
    with resume.claimed_folder(directory, config.to_mapping()) as folder:
        # TensorFlow takes seconds to import; whatever can fail before, has.
        from tff_finance.evaluation.comparison import run_comparison
        from tff_finance.evaluation.model_keeper import model_keeper
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
                keep=model_keeper(folder.model, config),
                exchanged_for_features=data.exchanged_types(),
            )
        try:  # a run that was finished before has not saved its model again
            model_folder.read_header(folder.model)
        except model_folder.UnreadableModelError as error:
            command_line.failure(f"{error}. --restart trains it again.")
        summary = build_summary(record)
        files.write_json(directory / "summary.json", summary)
    print_comparison(summary)
    command_line.report_progress(
        f"Wrote {directory / 'model'}, {directory / 'summary.json'} and record/."
    )


if __name__ == "__main__":
    flags.mark_flags_as_required(["output_dir", "task"])
    command_line.run(main)
