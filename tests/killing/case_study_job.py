"""The case study's binary, small."""

import importlib
import sys

from experiments import bank_case_study, command_line
from tff_finance.client_work import local_training

# Imported before the forks; nothing runs in TensorFlow yet.
for module in ("evaluation.case_study", "report.console", "runtime.choice"):
    importlib.import_module(f"tff_finance.{module}")
# XLA would compile in every process, for longer than small banks train.
local_training._LARGEST_COMPILED_BATCH = 0


def main(folder, started):
    started()
    sys.argv = [
        "bank_case_study",
        f"--output_dir={folder}",
        "--seeds=2",
        "--methods=gradient_boosting,fed_avg",
        "--rounds=25",
        "--hidden_units=4",
        "--checkpoint_seconds=0.2",
    ]
    command_line.run(bank_case_study.main)
