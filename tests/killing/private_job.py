"""The case study's binary with private methods, small; witnesses every round."""

import importlib
import sys

from experiments import bank_case_study, command_line
from tests.killing.private_rounds import ROUNDS, witness
from tff_finance.evaluation import methods
from tff_finance.training.loop import train
from tff_finance.training.rounds import rounds_of

# Imported before the forks; nothing runs in TensorFlow yet.
for module in ("evaluation.case_study", "report.console", "runtime.choice"):
    importlib.import_module(f"tff_finance.{module}")


def main(folder, started):
    """Work has begun with the first round: what goes before it spends nothing."""

    def witnessed(process, client_data, *, label, **options):
        rounds = rounds_of(client_data)
        data_of, path = rounds.client_data, witness(folder, label.split()[-1])

        def client_data_of(number, weights):
            started()
            with path.open("ab") as stream:
                stream.write(b".")
            return data_of(number, weights)

        rounds.client_data = client_data_of
        return train(process, rounds, label=label, **options)

    methods.train = witnessed
    sys.argv = [
        "bank_case_study",
        f"--output_dir={folder}",
        "--scenario=scarce_labels",
        "--seeds=1",
        f"--methods={','.join(ROUNDS)}",
        "--hidden_units=2",
        f"--dp_rounds={ROUNDS['fed_avg_dp_sgd']}",
        "--dp_batch_size=50",
        # To calibrate it takes seconds. One more round would exceed the budget.
        "--noise_multiplier=1.7",
        "--branches=100",
        f"--branch_cohort={3 * 100 // ROUNDS['dp_ftrl']}",
        "--branch_passes=1",
        "--branch_local_epochs=1",
    ]
    command_line.run(bank_case_study.main)
