"""FedAvg by secure sums learns what FedAvg learns."""

import dataclasses

import numpy as np
import pytest

from tests.evaluation.method_contract import assert_keeps_the_contract
from tests.evaluation.methods_test import FEATURES, TRAINING, institution
from tff_finance import checks
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.institutions.examples import InMemory
from tff_finance.records.institution_privacy_config import SecureAggregationConfig
from tff_finance.runtime import in_process

pytestmark = pytest.mark.usefixtures("uncompiled")


# There is room for as many rows as there are; of uniform weights each is 1.
@pytest.mark.parametrize(
    ("weighting", "largest_weight"), [("examples", 40), ("uniform", 1)]
)
def test_scores_are_those_of_plain_sums(weighting, largest_weight, caplog):
    institutions = [institution("bank_a", 40, 10, 1), institution("bank_b", 25, 7, 2)]
    x = np.random.default_rng(0).normal(size=(50, FEATURES)).astype(np.float32)
    with in_process.execution_context():
        plain, secure = (
            method.fit(institutions, seed=6)
            for method in build_methods(
                ("fed_avg", "fed_avg_secure"),
                FEATURES,
                dataclasses.replace(
                    TRAINING,
                    weighting=weighting,
                    secure_aggregation=SecureAggregationConfig(
                        largest_weight=largest_weight
                    ),
                ),
                store=InMemory(),
            )
        )
    assert_keeps_the_contract("fed_avg_secure", secure, institutions, seed=6)
    assert "TFF's own runtime runs" not in caplog.text
    np.testing.assert_allclose(
        secure.scorers["global"](x), plain.scorers["global"](x), atol=1e-3
    )
    # Every number goes up as an integer of as many bits, or of more.
    assert secure.runs[0].bytes_up >= plain.runs[0].bytes_up


def test_more_rows_than_sums_have_room_for_are_refused_before_training():
    """Outside of any context: nothing is computed."""
    institutions = [institution("bank_a", 40, 10, 1), institution("bank_b", 25, 7, 2)]
    bounded = dataclasses.replace(
        TRAINING,
        secure_aggregation=SecureAggregationConfig(largest_weight=39),
    )
    (method,) = build_methods(("fed_avg_secure",), FEATURES, bounded, store=InMemory())
    with pytest.raises(checks.RunFailedError, match=r"least 40, .* 'bank_a', got 39"):
        method.fit(institutions, seed=6)
