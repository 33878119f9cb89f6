"""The comparison as text: it renders whatever a summary may hold."""

import dataclasses
import io

import pytest
import rich.console

from tests.evaluation.hand_made import BANKS, METHODS, SEEDS, make_record, undefine
from tests.evaluation.privacy_summary_test import row
from tff_finance.evaluation.summary import build_summary
from tff_finance.report.comparison_console import print_comparison
from tff_finance.report.console import format_percent, print_case_study


def printed(record, width=160):
    stream = io.StringIO()
    console = rich.console.Console(file=stream, width=width, highlight=False)
    print_case_study(build_summary(record), console)
    text = stream.getvalue()
    for nonsense in ("None", "nan", "{"):
        assert nonsense not in text
    return text


def row_of(text, label):
    """The first table row that begins with a label."""
    return next(line for line in text.splitlines() if line.strip().startswith(label))


def test_own_others_and_all_rows_stand_side_by_side():
    text, summary = printed(make_record()), build_summary(make_record())
    for name, label in (("local", "local"), ("fed_avg", "FedAvg")):
        method = summary["methods"][name]
        cells = [
            format_percent(method["own_mean"]["accuracy"]),
            format_percent(method["others_mean"]["accuracy"]),
            format_percent(method["pooled"]["accuracy"]),
            f"{method['pooled']['auc']['mean']:.4f}",
        ]
        row = row_of(text, label)
        positions = [row.find(cell) for cell in cells]
        assert -1 not in positions
        assert positions == sorted(positions)


def test_gain_and_exchange_are_printed():
    text, summary = printed(make_record()), build_summary(make_record())
    for bank in BANKS:
        assert bank in text
        gain = summary["gain"][bank]["fed_avg"]["accuracy"]
        assert format_percent(gain, sign=True) in text
    difference = summary["to_centralized"]["fed_avg"]["accuracy"]
    assert format_percent(difference, sign=True) in text
    assert "400" in text  # training rows


def test_says_whose_population_it_is_and_why():
    text = " ".join(printed(make_record()).split())
    assert "synthetic" in text
    assert "How the scenario works." in text


def test_runs_that_were_still_improving_and_lost_updates_are_named():
    record = make_record(seeds=SEEDS[:2])
    assert "still improving" not in printed(record)
    runs = [
        dataclasses.replace(row, stopped_by="max_rounds")
        if row.method == "fed_avg"
        else row
        for row in record.runs
    ]
    curves = [dataclasses.replace(record.curves[0], non_finite_updates=3)]
    text = " ".join(
        printed(
            dataclasses.replace(
                record, runs=tuple(runs), curves=(*curves, *record.curves[1:])
            )
        ).split()
    )
    assert "FedAvg: 2 of 2 runs ended at the most rounds allowed" in text
    assert "3 updates were not finite" in text


def private_record():
    rows = (row(bank, seed, method="fed_avg") for seed in SEEDS for bank in BANKS)
    return dataclasses.replace(make_record(), privacy=tuple(rows))


def test_a_private_method_has_its_guarantee_below_the_table():
    said = "FedAvg: epsilon at most 4.00, delta 1e-05, per row."
    text = printed(private_record())
    assert text.index("AUC, all") < text.index(said) < text.index("gains")
    assert "epsilon" not in printed(make_record())


def test_so_has_one_on_real_tables():
    record = private_record()
    config = record.config | {"partition": "random:2", "split": "shuffled"}
    ranking = [
        dataclasses.replace(row, metric="average_precision")
        for row in record.metrics
        if row.metric == "auc"
    ]
    record = dataclasses.replace(
        record, config=config, metrics=(*record.metrics, *ranking)
    )
    stream = io.StringIO()
    console = rich.console.Console(file=stream, width=160, highlight=False)
    print_comparison(build_summary(record), console)
    said = "FedAvg: epsilon at most 4.00, delta 1e-05, per row."
    text = stream.getvalue()
    assert text.index("All institutions") < text.index(said) < text.index("AUC on all")


def test_number_of_seeds_is_named():
    assert f"{len(SEEDS)} seeds" in printed(make_record())


@pytest.mark.parametrize(
    "methods",
    [
        *[(name,) for name in METHODS],
        ("fed_avg", "centralized"),  # without local
        ("local", "fed_avg"),  # without centralized
        METHODS,
    ],
)
@pytest.mark.parametrize("seeds", [SEEDS[:1], SEEDS])
def test_any_methods_and_seeds_render(methods, seeds):
    text = printed(make_record(methods, seeds))
    for name, label in (("fed_avg", "FedAvg"), ("centralized", "centralized, ")):
        assert (label in text) == (name in methods)


def test_unknown_method_is_shown_by_its_name():
    record = make_record(("fed_avg",))
    renamed = dataclasses.replace(
        record,
        config=record.config | {"methods": ["fed_magic"]},
        metrics=tuple(
            dataclasses.replace(r, method="fed_magic") for r in record.metrics
        ),
        runs=tuple(dataclasses.replace(r, method="fed_magic") for r in record.runs),
        curves=(),
    )
    assert "fed_magic" in printed(renamed)


def test_undefined_values_render():
    record = undefine(make_record(), "The table has no rows.", institution="bank_a")
    record = undefine(record, "All rows are negative.", metric="auc")
    curves = tuple(row for row in record.curves if row.method != "fed_avg")
    text = printed(dataclasses.replace(record, curves=curves))
    assert "n/a" in row_of(text, "FedAvg")


def test_everything_undefined_renders():
    text = printed(undefine(make_record(), "The table has no rows."))
    assert text.count("n/a") >= len(METHODS) * 4


def test_narrow_terminal_renders():
    text = printed(make_record(), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "FedAvg" in text


def test_percent():
    value = {"mean": 0.9512, "ci95": [0.9402, 0.9622], "values": []}
    assert format_percent(value) == "95.1 ± 1.1"
    assert format_percent(value, sign=True) == "+95.1 ± 1.1"
    assert format_percent({"mean": -0.002, "ci95": None}, sign=True) == "-0.2"
    assert "n/a" in format_percent({"mean": None, "reason": "no rows"})
