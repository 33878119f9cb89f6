"""The case study's binary with private methods, small; witnesses every round."""

import importlib
import sys

from experiments import bank_case_study, command_line
from tests.killing.private_rounds import ROUNDS, witness
from tff_finance.client_work import local_training
from tff_finance.evaluation import methods
from tff_finance.training.loop import train
from tff_finance.training.rounds import rounds_of

# Imported before the forks; nothing runs in TensorFlow yet.
for module in ("evaluation.case_study", "report.console", "runtime.choice"):
    importlib.import_module(f"tff_finance.{module}")
# XLA would compile in every process, for longer than small banks train.
local_training._LARGEST_COMPILED_BATCH = 0


def moments(rng):
    """One kill in each method, after its first round and well before its last."""
    of_first, of_both = ROUNDS["fed_avg_dp_sgd"], sum(ROUNDS.values())
    first = rng.randrange(2, of_first - 3)
    second = rng.randrange(of_first + 2, of_both - 3)
    # A round that is lost is one of those that are planned.
    return [(first, rng.uniform(0, 0.05)), (second - first, rng.uniform(0, 0.05))]


def main(folder, started):
    """Each round is a part of the work: what goes before the first spends nothing."""

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
        "--hidden_units=",
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
