"""Label counts are those of the pooled rows."""

import numpy as np
import pytest

from tff_finance.institutions.examples import dense_examples
from tff_finance.preprocessing.label_counts import (
    LabelCounts,
    build_label_counts,
    federated_label_counts,
)


def table(negatives, positives):
    y = np.repeat([0.0, 1.0], [negatives, positives])
    return dense_examples(np.zeros((len(y), 2)), y, institution="bank")


def test_counts_of_all_institutions(tff_context):
    del tff_context
    counts = federated_label_counts([table(90, 5), table(0, 3), table(7, 0)])
    assert counts == LabelCounts(negatives=97, positives=8)
    assert counts.balancing_weight == 97 / 8


def test_institutions_send_two_numbers(tff_context):
    del tff_context
    result = build_label_counts().type_signature.result
    assert str(result.member) == "<negatives=int64,positives=int64>"


@pytest.mark.parametrize(("negatives", "positives"), [(3, 0), (0, 2)])
def test_one_class_has_no_balance(negatives, positives):
    counts = LabelCounts(negatives=negatives, positives=positives)
    with pytest.raises(ValueError, match=f"{negatives} negative and {positives} pos"):
        counts.balancing_weight  # noqa: B018
