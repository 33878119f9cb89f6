"""Three banks train a joint credit-risk model: what is that worth?

Compares banks that train alone, together by federated learning, and on pooled
rows, on a synthetic population made for the purpose. Prints the comparison and
writes summary.json and the run record to --output_dir. A run that was killed goes
on where it was when it is started again with the same flags.

Training flags that are not given take the scenario's values.
"""

from absl import flags

from experiments import (
    command_line,
    resume,
    runtime_flags,
    scenario_flags,
    study_flags,
    training_flags,
)
from tff_finance.records import files

# So that --help lists them too.
for _module in (scenario_flags, study_flags, training_flags, runtime_flags, resume):
    flags.adopt_module_key_flags(_module)

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for summary.json and record/; made if missing."
)


def main() -> None:
    """Runs the case study."""
    study_flags.check_promises()
    banks = [bank.name for bank in scenario_flags.scenario().banks]
    runtime = runtime_flags.Runtime(banks)
    config = scenario_flags.config(
        runtime.name,
        seeds=study_flags.seeds(),
        methods=study_flags.methods(),
        contribution=study_flags.contribution(banks),
    )
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


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    command_line.run(main)
