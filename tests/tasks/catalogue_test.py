"""Tasks: distinct names, models of their own, metrics that readers can read."""

import pytest

from tff_finance.metrics.derived import METRICS
from tff_finance.report import labels
from tff_finance.report.catalogue import Words
from tff_finance.tasks.catalogue import TASKS


@pytest.mark.parametrize("name", ["risk", "marketing", "fraud"])
def test_a_task_builds_a_model_of_its_name(name):
    task = TASKS[name]
    model = task.build_model(4, hidden_units=task.training.hidden_units, seed=0)
    assert task.name == model.name == name
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 1))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_metric_has_a_name_for_readers(language):
    words = Words(language)
    for task in TASKS.values():
        for metric in (
            *task.metrics.values(),
            *task.payment_metrics,
            *task.card_metrics,
        ):
            assert labels.metric(metric.name, words) != metric.name, metric.name


def test_a_tasks_metrics_are_the_common_ones_and_its_own():
    for task in TASKS.values():
        assert list(task.metrics)[: len(METRICS)] == list(METRICS)
        assert {m.name for m in task.business_metrics} <= set(task.metrics)
    assert "expected_cost" in TASKS["risk"].metrics
    assert "profit_at_10" in TASKS["marketing"].metrics
    assert [m.name for m in TASKS["fraud"].card_metrics] == ["card_precision_at_100"]
