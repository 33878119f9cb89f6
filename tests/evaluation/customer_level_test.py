"""Customers as the units of FedAvg by DP-SGD, in comparisons and by name."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests.algorithms import numpy_logistic
from tests.evaluation.comparison_test import CONTRACT, config
from tff_finance import checks
from tff_finance.evaluation import private_methods, promises
from tff_finance.evaluation.comparison import run_comparison
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.protected_units import by_units
from tff_finance.evaluation.summary import build_summary
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.institutions.partition import parse_partition
from tff_finance.institutions.split import parse_split
from tff_finance.institutions.table_source import DealtTable
from tff_finance.preprocessing.consortium import TrainingExamples, encode_training
from tff_finance.privacy import accounting
from tff_finance.privacy.guarantee import default_delta
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.privacy_row import PER_ROW_NOT_CUSTOMER
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process
from tff_finance.training.progress import StoppingRule

FEATURES = 3
CLIP = 0.7
BY_CUSTOMER = DpSgdConfig(
    privacy_unit="customer",
    most_rows_per_customer=64,
    l2_clip_norm=CLIP,
    noise_multiplier=3.0,
    batch_size=10,
    rounds=2,
)


@pytest.fixture(scope="module", autouse=True)
def context(uncompiled):
    del uncompiled
    with in_process.execution_context():
        yield


def institution(name, rows_of_customers, seed=0):
    """Rows that are alike within a customer, so that their gradients add up."""
    rng = np.random.default_rng(seed)
    customers = np.repeat(np.arange(len(rows_of_customers)), rows_of_customers)
    of_customer = rng.normal(size=(len(rows_of_customers), FEATURES))
    x = of_customer[customers] + 0.1 * rng.normal(size=(len(customers), FEATURES))
    labels = rng.integers(2, size=len(rows_of_customers))[customers]
    examples = dense_examples(x, labels, institution=name)
    return TrainingExamples(
        institution=name,
        train=examples,
        validation=examples,
        customers=np.array([f"customer {number}" for number in customers]),
    )


def build(name, **dp_sgd):
    training = TrainingConfig(
        hidden_units=(), dp_sgd=dataclasses.replace(BY_CUSTOMER, **dp_sgd)
    )
    (method,) = build_methods((name,), FEATURES, training, store=InMemory())
    return method


def clipped_sums(institutions):
    """Of all units, without noise: what one step of rate 1 moves the weights by."""
    method = build("fed_avg_dp_sgd", batch_size=1000, learning_rate=1.0)
    assert isinstance(method, private_methods.FedAvgDpSgd)
    suite = method.suite
    learner = private_methods._learner(
        suite,
        clip=CLIP,
        noise=0.0,
        stopping=StoppingRule(max_rounds=1, patience=None),
    )
    start = numpy_logistic.vector(learner.initial_weights(0))
    sums = []
    for packed in by_units(institutions, suite.training.dp_sgd):
        trained = learner.train(
            [packed.train],
            [packed.validation],
            seed=0,
            label="",
            model="m",
            folder=None,
        )
        moved = start - numpy_logistic.vector(trained.weights)
        sums.append(moved * len(packed.train["customer_rows"]))
    return sums, start


def clipped_sum_in_numpy(w, one, units):
    """Of units any[n], one for each row."""
    total = np.zeros_like(w)
    for unit in np.unique(units):
        mine = units == unit
        x, y = one.train["x"][mine], one.train["y"][mine, 0]
        gradient = mine.sum() * numpy_logistic.gradient(w, x, y)
        total += gradient * min(1, CLIP / np.linalg.norm(gradient))
    return total


ROWS = [1, 2, 1, 5]
MANY = 50


def test_a_customer_with_many_rows_moves_the_sum_by_at_most_the_norm():
    """Equal to NumPy; as so many records, they would move it by far more."""
    with_many = institution("a", [*ROWS, MANY])
    assert with_many.customers is not None
    rows = sum(ROWS)
    without = dataclasses.replace(
        with_many,
        train=dense_examples(
            with_many.train["x"][:rows], with_many.train["y"][:rows], institution="a"
        ),
        customers=with_many.customers[:rows],
    )
    sums, start = clipped_sums([without, with_many])
    expected = [
        clipped_sum_in_numpy(start, one, one.customers) for one in (without, with_many)
    ]
    np.testing.assert_allclose(sums, expected, atol=1e-4)
    assert 0.99 * CLIP < np.linalg.norm(sums[1] - sums[0]) < 1.001 * CLIP

    by_record = [
        clipped_sum_in_numpy(start, one, np.arange(len(one.train["y"])))
        for one in (without, with_many)
    ]
    assert np.linalg.norm(by_record[1] - by_record[0]) > 10 * CLIP


def test_the_promise_is_to_customers():
    """Number, sampling, delta and steps are theirs and not those of their rows."""
    banks = {"bank_a": [3] * 40, "bank_b": [1] * 24 + [100]}
    method = build("fed_avg_dp_sgd")
    fitted = method.fit([institution(*item) for item in banks.items()], seed=3)
    rows = promises.privacy_rows(
        fitted.promises,
        promises.released_besides(label_counts=False, feature_counts=False),
        seed=3,
        method="fed_avg_dp_sgd",
        several_rows=True,
    )
    assert [row.institution for row in rows] == list(banks)
    for row, number, steps in zip(rows, (40, 25), (2 * 4, 2 * 3), strict=True):
        assert (row.unit, row.population) == ("customer", number)
        assert row.unit_in_words == "per customer, with all rows at the institution"
        assert row.sampling_probability == 10 / number
        assert (row.steps, row.most_rows) == (steps, 64)
        assert row.delta == default_delta(number)
        mechanism = PoissonSampledGaussian(
            noise_multiplier=row.noise_multiplier,
            sampling_probability=10 / number,
            steps=steps,
        )
        expected = accounting.epsilon(
            [mechanism], neighbouring="add_or_remove_one", delta=row.delta
        )
        assert row.epsilon == expected.value
        assert promises.SEVERAL_ROWS not in row.not_covered_lines


@pytest.mark.parametrize("name", ["fed_avg_dp_sgd", "fed_avg_poisson"])
def test_customers_must_be_known(name):
    nameless = dataclasses.replace(institution("a", ROWS), customers=None)
    with pytest.raises(checks.RunFailedError, match="needs a column that names the c"):
        build(name).fit([nameless], seed=0)


@pytest.mark.parametrize("name", ["fed_avg_dp_sgd", "fed_avg_poisson"])
def test_numbers_of_customers_must_be_no_feature(name):
    source = dataclasses.replace(SOURCE, clusters="x")
    _, examples = encode_training(source.institutions(0), CONTRACT)
    with pytest.raises(checks.UnfitSettingsError, match="`clusters` to be no feature"):
        build(name).fit(examples, seed=0)
    assert len(by_units(examples, DpSgdConfig())) == len(examples)


def test_numbers_of_customers_stay_where_they_are():
    """What a client's graph gets says which rows are one's, and not whose."""
    (packed,) = by_units([institution("a", [1, 100])], BY_CUSTOMER)
    assert packed.customers is None
    assert {name: value.dtype.kind for name, value in packed.train.items()} == {
        "x": "f",
        "y": "f",
        "institution": "O",
        "customer_rows": "i",
    }
    assert packed.train["x"].shape == (1 + 64, FEATURES)


def loans():
    """Four rows of each customer, at the same lender."""
    rng = np.random.default_rng(1)
    customer = np.repeat(np.arange(150), 4)
    x, z = rng.normal(size=(2, 600))
    return pd.DataFrame(
        {
            "x": x,
            "z": z,
            "bad": (rng.random(600) < 1 / (1 + np.exp(1.5 - x))) * 1,
            "lender": np.where(customer % 3, "a", "b"),
            "customer": [f"c{number}" for number in customer],
        }
    )


SOURCE = DealtTable(
    table=loans(),
    contract=CONTRACT,
    partition=parse_partition("column:lender"),
    split=parse_split("shuffled:0.6,0.2,0.2"),
    clusters="customer",
)


def compared(unit, **options):
    lines = []
    record = run_comparison(
        config(
            methods=("fed_avg_dp_sgd", "fed_avg_poisson"),
            split=str(SOURCE.split),
            training=TrainingConfig(
                hidden_units=(),
                dp_sgd=dataclasses.replace(
                    BY_CUSTOMER, privacy_unit=unit, most_rows_per_customer=3
                ),
            ),
            **{"clusters": "customer"} | options,
        ),
        SOURCE,
        CONTRACT,
        scenario={"description": "made"},
        report_progress=lines.append,
    )
    return record, lines


@pytest.mark.parametrize(
    ("unit", "of_a_customer", "words"),
    [
        ("customer", 1, "per customer, with all rows at the institution"),
        ("record", 4, PER_ROW_NOT_CUSTOMER),
    ],
)
def test_a_comparison_says_whom_it_protects(unit, of_a_customer, words):
    record, lines = compared(unit)
    training_rows = {i.institution: i.train_rows for i in record.institutions}
    assert {row.institution: row.population for row in record.privacy} == {
        name: rows // 4 * of_a_customer for name, rows in training_rows.items()
    }
    assert {row.method for row in record.privacy} == {"fed_avg_dp_sgd"}
    assert {row.unit for row in record.privacy} == {unit}
    assert {row.unit_in_words for row in record.privacy} == {words}
    summary = build_summary(record)["methods"]
    assert summary["fed_avg_poisson"]["privacy"] is None
    privacy = summary["fed_avg_dp_sgd"]["privacy"]
    assert (privacy["unit"], privacy["unit_in_words"]) == (unit, words)
    assert privacy["across_institutions"]["epsilon"] > privacy["epsilon"]
    assert {i["most_rows"] for i in privacy["institutions"].values()} == {
        3 if unit == "customer" else None
    }
    told = [line for line in lines if words in line]
    assert len(told) == 1
    assert "epsilon at most" in told[0]
    assert not any("made of other rows" in row.not_covered for row in record.privacy)


def test_features_of_other_rows_are_not_covered():
    """Whoever's counts they are made of: nothing needs to be exchanged for them."""
    record, _ = compared("record", preparation="counts of all rows of the lender")
    entry = promises.FEATURES_OF_OTHER_ROWS
    for row in record.privacy:
        line = f"preprocessing: {entry.what} ({entry.reason})"
        assert row.not_covered_lines.count(line) == 1


def test_payments_are_of_cards_that_nobody_named():
    record, lines = compared("record", clusters="", dataset="handbook_features")
    assert any("epsilon" in line and PER_ROW_NOT_CUSTOMER in line for line in lines)
    for row in record.privacy:
        assert row.unit_in_words == PER_ROW_NOT_CUSTOMER
        assert promises.SEVERAL_ROWS in row.not_covered_lines
