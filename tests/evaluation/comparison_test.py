"""Comparisons on real tables: blind to test rows, the same however often started."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tff_finance.checks import RunFailedError
from tff_finance.datasets.contract import Contract, NumericColumn
from tff_finance.evaluation.comparison import run_comparison
from tff_finance.institutions.partition import parse_partition
from tff_finance.institutions.split import parse_split
from tff_finance.institutions.table_source import DealtTable
from tff_finance.records.comparison_config import ComparisonConfig
from tff_finance.records.institution_privacy_config import SecureAggregationConfig
from tff_finance.records.run_folder import RunFolder
from tff_finance.records.training_config import TrainingConfig

CONTRACT = Contract(
    name="c",
    columns=tuple(
        NumericColumn(name=name, unit="1", description="d", minimum=-99, maximum=99)
        for name in ("x", "z")
    ),
    label="bad",
    label_meaning="it went badly",
)
METHODS = ("local", "fed_avg", "centralized", "gradient_boosting")

pytestmark = pytest.mark.usefixtures("tff_context")


def rows():
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 600))
    bad = rng.random(600) < 1 / (1 + np.exp(1.5 - x))
    lender = np.where(rng.random(600) < 0.4, "a", "b")
    return pd.DataFrame({"x": x, "z": z, "bad": bad * 1, "lender": lender})


SOURCE = DealtTable(
    table=rows(),
    contract=CONTRACT,
    partition=parse_partition("column:lender"),
    split=parse_split("shuffled:0.5,0.2,0.3"),
)


class Spoilt:
    """The same institutions with test rows of quite other customers."""

    def institutions(self, seed):
        return [
            dataclasses.replace(
                i, test=i.test.assign(bad=1 - i.test["bad"], x=90.0 + i.test["z"])
            )
            for i in SOURCE.institutions(seed)
        ]


def config(**options):
    defaults = {
        "task": "risk",
        "dataset": "made",
        "files": (),
        "contract": "c",
        "contract_sha256": "0",
        "split": str(SOURCE.split),
        "partition": str(SOURCE.partition),
        "seeds": (0,),
        "methods": METHODS,
        "training": TrainingConfig(
            hidden_units=(4,), batch_size=32, rounds=3, max_epochs=3
        ),
        "resamples": 100,
    }
    return ComparisonConfig(**defaults | options)


def run(source=SOURCE, folder=None, lines=None, **options):
    return run_comparison(
        config(**options),
        source,
        CONTRACT,
        scenario={"description": "made"},
        report_progress=(lines if lines is not None else []).append,
        folder=folder,
    )


@pytest.fixture(scope="module")
def record(tff_context):
    del tff_context
    return run()


def without_seconds(record):
    return [dataclasses.replace(row, seconds=0.0) for row in record.runs]


def test_nothing_before_the_final_evaluation_reads_test_rows(record):
    spoilt = run(Spoilt())
    assert spoilt.curves == record.curves
    assert without_seconds(spoilt) == without_seconds(record)
    assert spoilt.features == record.features
    assert spoilt.metrics != record.metrics
    assert spoilt.bootstraps != record.bootstraps


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("dp_ftrl", "100 clients for privacy at institution level, got 2"),
        ("fed_avg_secure", "`largest_weight` must be at least 1"),
    ],
)
def test_what_suits_no_institutions_is_refused_before_any_method_trains(method, text):
    training = TrainingConfig(
        secure_aggregation=SecureAggregationConfig(largest_weight=1)
    )
    lines = []
    with pytest.raises(RunFailedError, match=text):
        run(lines=lines, methods=("local", method), training=training)
    assert lines == []


def test_every_gain_and_distance_has_an_interval_around_it(record):
    found = {
        (row.method, row.reference, row.scope, row.institution): row
        for row in record.bootstraps
        if row.metric == "auc"
    }
    for method in METHODS:
        for reference in ("", "local", "centralized"):
            assert ((method, reference, "pooled", "") in found) == (method != reference)
        for lender in ("a", "b"):
            assert (method, "", "own", lender) in found
            gain = (method, "local", "own", lender)
            assert (gain in found) == (method != "local")
    for row in found.values():
        assert row.low <= row.value <= row.high
    sizes = {row.institution: row.test_rows for row in record.institutions}
    assert found["fed_avg", "", "pooled", ""].rows == sum(sizes.values())
    assert found["fed_avg", "", "own", "a"].rows == sizes["a"]


def test_values_are_those_of_the_histograms_up_to_ties(record):
    metrics = {
        (row.method, row.scope, row.institution, row.metric): row.value
        for row in record.metrics
        if row.method != "local"
    }
    for row in record.bootstraps:
        # Bins tie what is ranked exactly here; the others are exact in both.
        tolerance = {"average_precision": 0.02, "auc": 2e-3}.get(row.metric, 1e-6)
        if row.reference == "" and row.method != "local":
            expected = metrics[row.method, row.scope, row.institution, row.metric]
            assert row.value == pytest.approx(expected, abs=tolerance), row


def test_methods_whose_scores_are_gone_run_again(record, tmp_path):
    folder = RunFolder(directory=tmp_path)
    assert run(folder=folder).bootstraps == record.bootstraps
    part = tmp_path / "checkpoints" / "seed_0"
    (part / "intervals" / "record" / "run.json").unlink()
    (part / "fed_avg" / "scores.npz").unlink()
    lines = []
    again = run(folder=folder, lines=lines)
    assert again.bootstraps == record.bootstraps
    assert again.metrics == record.metrics
    assert [line for line in lines if " rounds " in line] == [lines[-1]]
    assert "fed_avg" in lines[-1]


def test_class_weights_leave_probabilities_as_they_are(record):
    """A balanced loss would predict 50 % defaults on average; scores are corrected."""
    balanced = run(class_weights="balanced", methods=("fed_avg",))
    losses = [
        next(
            row.value
            for row in one.metrics
            if (row.method, row.scope, row.metric) == ("fed_avg", "pooled", "log_loss")
        )
        for one in (record, balanced)
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], abs=0.1)


class Payments:
    """The institutions' rows as payments on days 7 to 9, five rows a card."""

    def institutions(self, seed):
        def with_payments(institution):
            rows = len(institution.test)
            rng = np.random.default_rng(rows)
            return dataclasses.replace(
                institution,
                test=institution.test.assign(
                    day=rng.integers(7, 10, rows),
                    card=[f"{institution.name}{i // 5}" for i in range(rows)],
                    amount=np.round(rng.lognormal(3, 1, rows), 2),
                ),
            )

        return [with_payments(i) for i in SOURCE.institutions(seed)]


def test_payments_are_judged_by_day_as_well():
    record = run(
        Payments(),
        task="fraud",
        methods=("fed_avg",),
        payments=("day", "card", "amount"),
    )
    table = {
        (row.scope, row.institution, row.metric): row.value for row in record.metrics
    }
    # Far fewer than 100 payments and cards a day: all are checked, all frauds found.
    assert table["pooled", "", "recall_at_100_alerts"] == 1
    assert table["own", "a", "amount_recall_at_100_alerts"] == 1
    assert 0 < table["pooled", "", "card_precision_at_100"] < 1


def test_payments_without_their_columns_are_refused():
    with pytest.raises(RunFailedError, match="of a have no column 'day', only x, z"):
        run(task="fraud", methods=("fed_avg",), payments=("day", "card", "amount"))


@pytest.mark.parametrize("change", [lambda day: day + 0.5, lambda day: day * 86_400])
def test_days_that_are_none_are_refused(change):
    institutions = Payments().institutions(0)
    institutions[0].test["day"] = change(institutions[0].test["day"])

    class Changed:
        def institutions(self, seed):
            del seed
            return institutions

    with pytest.raises(RunFailedError, match="column 'day' of a must number the days"):
        run(Changed(), task="fraud", payments=("day", "card", "amount"))


class Unlucky:
    """Has institutions under one seed only."""

    def institutions(self, seed):
        if seed:
            raise ValueError("`split` leaves 'a' no rows.")
        return SOURCE.institutions(seed)


def test_a_seed_whose_institutions_cannot_be_made_is_named():
    with pytest.raises(RunFailedError, match=r"Under seed 1 .* 'a' no rows"):
        run(Unlucky(), methods=("gradient_boosting",), seeds=(0, 1))
