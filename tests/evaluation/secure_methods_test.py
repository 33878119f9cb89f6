"""FedAvg by secure sums learns what FedAvg learns."""

import dataclasses

import numpy as np
import pytest

from tests.evaluation.method_contract import assert_keeps_the_contract
from tests.evaluation.methods_test import FEATURES, TRAINING, institution
from tff_finance import checks
from tff_finance.datasets.scenarios import SCARCE_LABELS
from tff_finance.evaluation.case_study import run_case_study
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.institutions.examples import InMemory
from tff_finance.records.config import CaseStudyConfig
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


def pooled_auc(record, method):
    """On all test rows, by seed."""
    return {
        row.seed: row.value
        for row in record.metrics
        if (row.method, row.scope, row.metric) == (method, "pooled", "auc")
    }


def test_auc_is_that_of_plain_sums():
    """In a scenario as it is, with 12,000 test rows, in few rounds."""
    config = CaseStudyConfig(
        scenario=SCARCE_LABELS.name,
        heterogeneity=SCARCE_LABELS.heterogeneity,
        seeds=(0, 1),
        methods=("fed_avg", "fed_avg_secure"),
        training=dataclasses.replace(SCARCE_LABELS.training, rounds=30),
    )
    with in_process.execution_context():
        record = run_case_study(config, report_progress=lambda line: None)
    plain, secure = (pooled_auc(record, method) for method in config.methods)
    assert plain.keys() == {0, 1}
    assert all(auc > 0.95 for auc in plain.values())
    assert secure == pytest.approx(plain, rel=0, abs=0.002)


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
