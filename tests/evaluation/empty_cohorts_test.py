"""Private methods whose rounds draw no branch at all, in both runtimes of a study."""

import dataclasses

import pytest

from tests.evaluation.methods_test import FEATURES, TRAINING, institution
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.run_storage import example_store
from tff_finance.privacy import accounting
from tff_finance.records.institution_privacy_config import InstitutionPrivacyConfig
from tff_finance.runtime.choice import execution_context
from tff_finance.training.cohorts import PoissonCohorts

METHODS = ("dp_fed_avg", "dp_fed_avg_adaptive")
CONFIG = InstitutionPrivacyConfig(branches=100, cohort=20, rounds=3, batch_size=4)


@pytest.mark.parametrize("runtime", ["in_process", "tff"])
def test_a_training_of_empty_rounds_ends_as_any_other(runtime, monkeypatch):
    """By coins that all fall the wrong way, which chance may have them do."""
    monkeypatch.setattr(PoissonCohorts, "members", lambda self, number: [])
    # Any noise will do; to calibrate it takes seconds.
    monkeypatch.setattr(accounting, "noise_multiplier", lambda *_, **__: 1.0)
    training = dataclasses.replace(TRAINING, institution_privacy=CONFIG)
    with execution_context(runtime), example_store(runtime, None) as store:
        for method in build_methods(METHODS, FEATURES, training, store=store):
            fitted = method.fit([institution("bank_a", 100, 10, 1)], seed=6)
            [run], [promise] = fitted.runs, fitted.promises
            assert (run.rounds, run.stopped_by) == (3, "fixed_rounds")
            assert promise.steps == 3
            assert [point.training_loss for point in fitted.curves] == [None] * 3
            # Each round has noise, or it would tell that it is empty.
            assert len({point.validation_loss for point in fitted.curves}) == 3
