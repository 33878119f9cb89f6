"""What a round moves, where all banks share a run or each has one of its own."""

import types

from tff_finance.records.run_record import RunRow
from tff_finance.report.learning_curves import bytes_per_round


def run(method, model, seed, rounds, volume):
    return RunRow(
        seed=seed,
        method=method,
        model=model,
        rounds=rounds,
        exchanges=rounds,
        best_round=1,
        stopped_by="patience",
        seconds=1.0,
        bytes_down=volume // 4,
        bytes_up=volume - volume // 4,
        validation_bytes_down=7,
        validation_bytes_up=7,
        source="type signature",
    )


def test_bytes_are_those_of_all_banks():
    record = types.SimpleNamespace(
        runs=(
            run("local", "bank_a", 0, 9, 0),
            run("fed_avg", "global", 0, 10, 1_000),
            run("fed_avg", "global", 1, 20, 4_000),
            run("fed_md", "bank_a", 0, 5, 100),
            run("fed_md", "bank_b", 0, 5, 150),
        )
    )
    assert bytes_per_round(record) == {"fed_avg": 150.0, "fed_md": 50.0}
