"""Rounds of the private job: how many are planned, and who saw them begin."""

ROUNDS = {"fed_avg_dp_sgd": 12, "dp_ftrl": 10}
"""Planned, by method."""


def witness(folder, method):
    """A file with a byte for each round that a process has begun, whatever became."""
    return folder / f"{method}_rounds"
