"""What a round moves, where all banks share a run or each has one of its own."""

import dataclasses
import types

from tests.report.sample import sample_study
from tff_finance.records.run_rows import CurveRow, RunRow
from tff_finance.report.learning_curves import bytes_per_round, of_exchanges


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
            run("fine_tuned", "global", 0, 10, 500),
            run("fine_tuned", "bank_a", 0, 30, 0),
        )
    )
    assert bytes_per_round(record) == {
        "fed_avg": 150.0,
        "fed_md": 50.0,
        "fine_tuned": 50.0,
    }


def test_over_traffic_there_are_curves_of_what_is_exchanged_only():
    curves = tuple(
        CurveRow(
            seed=0,
            method=method,
            model=model,
            round=1,
            training_loss=1.0,
            validation_loss=1.0,
            validation_accuracy=0.5,
        )
        for method, model in (
            ("local", "bank_a"),
            ("fine_tuned", "global"),
            ("fine_tuned", "bank_a"),
        )
    )
    runs = tuple(
        run(row.method, row.model, 0, 3, 600 * (row.model == "global"))
        for row in curves
    )
    record = dataclasses.replace(sample_study().record, curves=curves, runs=runs)
    assert of_exchanges(record) == dataclasses.replace(record, curves=curves[1:2])
