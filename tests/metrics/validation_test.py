"""Validation during training equals scikit-learn on the pooled validation rows."""

import numpy as np
import pytest
import sklearn.metrics
import tensorflow_federated as tff

from tff_finance.client_work import weights as weights_lib
from tff_finance.institutions.examples import (
    client_dataset,
    dense_examples,
    examples_type,
)
from tff_finance.metrics.validation import (
    build_federated_validation,
    validation_result,
)
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model

FEATURES = 3
KERNEL = np.array([[3.0], [-2.0], [0.5]], np.float32)
BIAS = np.array([0.25], np.float32)
WEIGHTS = tff.learning.models.ModelWeights((KERNEL, BIAS), ())


def build(**options):
    model = keras_models.functional_model(
        lambda: build_risk_model(FEATURES, hidden_units=(), seed=0)
    )
    return build_federated_validation(
        model,
        weights_type=weights_lib.weights_type(model),
        element_type=examples_type(FEATURES),
        **options,
    )


@pytest.fixture(scope="module")
def validation(tff_context):
    del tff_context
    return build()


@pytest.fixture(scope="module")
def validation_with_auc(tff_context):
    del tff_context
    return build(with_auc=True)


def table(rows, seed, *, shift=0.0, label_rate=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 2, size=(rows, FEATURES)).astype(np.float32)
    return x, (rng.random(rows) < label_rate).astype(np.float32)


def judge(validation, *tables):
    return validation_result(
        validation(
            WEIGHTS,
            [client_dataset(dense_examples(*t, institution="bank")) for t in tables],
        )
    )


def test_equal_to_scikit_learn_on_pooled_rows(validation):
    # Unequal sizes and unlike rates: a mean over banks is another number.
    tables = [table(500, 1), table(31, 2, shift=2, label_rate=0.9), table(0, 3)]
    result = judge(validation, *tables)
    x, y = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    logits = (x.astype(np.float64) @ KERNEL + BIAS)[:, 0]
    probability = 1 / (1 + np.exp(-logits))
    assert result.rows == 531
    assert result.loss == pytest.approx(
        sklearn.metrics.log_loss(y, probability), rel=1e-5
    )
    assert result.accuracy == sklearn.metrics.accuracy_score(y, probability >= 0.5)
    means = [judge(validation, t) for t in tables[:2]]
    assert abs(np.mean([m.loss for m in means]) - result.loss) > 0.1


def test_auc_is_that_of_pooled_rows(validation, validation_with_auc):
    tables = [table(500, 1), table(31, 2, shift=2, label_rate=0.9), table(0, 3)]
    result = judge(validation_with_auc, *tables)
    x, y = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    # Scores in bins of 1/128 of a logit: few of these rows are tied.
    expected = sklearn.metrics.roc_auc_score(y, x @ KERNEL[:, 0])
    assert result.auc == pytest.approx(expected, abs=1e-3)
    assert judge(validation_with_auc, (*tables[0][:1], np.ones(500))).auc is None
    plain = judge(validation, *tables)
    assert plain.auc is None
    assert (plain.loss, plain.accuracy) == (result.loss, result.accuracy)


def test_certain_and_wrong_costs_its_logit(validation):
    """Neither clipped nor infinite."""
    x = np.array([[40.0, 0.0, -0.5]], np.float32)
    assert judge(validation, (x, np.zeros(1))).loss == pytest.approx(120, rel=1e-6)
    assert judge(validation, (x, np.ones(1))).loss == pytest.approx(0, abs=1e-6)


def test_probability_one_half_counts_as_positive(validation):
    x = np.array([[0.0, 0.125, 0.0]], np.float32)
    assert judge(validation, (x, np.ones(1))).accuracy == 1
    assert judge(validation, (x, np.zeros(1))).accuracy == 0


def test_no_validation_rows_are_an_error(validation):
    with pytest.raises(ValueError, match="No institution has validation rows"):
        judge(validation, table(0, 1), table(0, 2))


def test_institutions_send_three_numbers(validation):
    result = validation.type_signature.result
    assert result.placement is tff.SERVER
    assert str(result.member) == "<log_loss_sum=float64,correct=int64,rows=int64>"
