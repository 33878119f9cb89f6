"""The privacy frontier: one training at several epsilons, judged and attacked."""

import copy
import json

import pytest

from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.scenarios import SCENARIOS
from tff_finance.evaluation import privacy_frontier
from tff_finance.evaluation.case_study import draw_institutions
from tff_finance.evaluation.frontier_summary import summarize_frontier
from tff_finance.evaluation.privacy_frontier import FrontierData, run_frontier
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.run_folder import RunFolder
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process
from tff_finance.tasks.risk import RISK

BANKS = ["bank_a", "bank_b", "bank_c"]
SCARCE = SCENARIOS["scarce_labels"]
CONFIG = CaseStudyConfig(
    scenario="scarce_labels",
    heterogeneity=SCARCE.heterogeneity,
    seeds=(1, 2),
    methods=("fed_avg",),
    training=TrainingConfig(
        hidden_units=(),
        rounds=2,
        # All rows in every batch: the accountants need no time.
        dp_sgd=DpSgdConfig(rounds=2, batch_size=1000, learning_rate=1.0),
    ),
)


def run(folder, lines):
    data = FrontierData(
        contract=CREDIT_CONTRACT,
        institutions=lambda seed: draw_institutions(SCARCE, seed),
        task=RISK,
        resamples=100,
    )
    with in_process.execution_context():
        return run_frontier(
            CONFIG, data, [0.5, 8.0], folder=folder, report_progress=lines.append
        )


@pytest.fixture(scope="module")
def ran(uncompiled, tmp_path_factory):
    del uncompiled
    folder = RunFolder(directory=tmp_path_factory.mktemp("frontier"))
    lines = []
    return folder, run(folder, lines), lines


def test_every_level_is_trained_under_every_seed(ran):
    _, seeds, lines = ran
    assert [seed["seed"] for seed in seeds] == [1, 2]
    names = ["epsilon_0.5", "epsilon_8", "without", "fed_avg"]
    assert [list(seed["levels"]) for seed in seeds] == [names] * 2
    assert len(lines) == 8
    for seed in seeds:
        levels = seed["levels"]
        for epsilon in (0.5, 8.0):
            level = levels[f"epsilon_{epsilon:g}"]
            assert 0.95 * epsilon < level["privacy"]["epsilon"] <= epsilon
            assert list(level["privacy"]["institutions"]) == BANKS
            assert list(level["to_without"]) == ["accuracy", "auc", "log_loss"]
            not_covered = "\n".join(level["privacy"]["not_covered"])
            assert "membership attack on training rows" in not_covered
            assert "SHA-256" not in not_covered  # seeds draw these rows
        assert levels["without"]["privacy"] is levels["fed_avg"]["privacy"] is None
        assert levels["without"]["to_without"] is None
        assert levels["fed_avg"]["to_fed_avg"] is None
        for level in levels.values():
            assert list(level["own"]) == BANKS
            assert list(level["membership"]) == ["", *BANKS]
            for cells in level["membership"].values():
                assert list(cells) == ["auc", "tpr_at_fpr_1", "tpr_at_fpr_0_1"]
                assert cells["auc"]["low"] < 0.5 < cells["auc"]["high"]
            cell = level["pooled"]["auc"]
            assert 0 < cell["low"] < cell["value"] < cell["high"] < 1


def test_a_difference_is_one_of_values_on_the_same_rows(ran):
    _, (seed, _), _ = ran
    levels = seed["levels"]
    private = levels["epsilon_8"]
    for reference in ("without", "fed_avg"):
        for metric in ("accuracy", "auc", "log_loss"):
            expected = (
                private["pooled"][metric]["value"]
                - levels[reference]["pooled"][metric]["value"]
            )
            found = private[f"to_{reference}"][metric]["value"]
            assert found == pytest.approx(expected)


def test_what_is_done_is_not_done_again(ran, monkeypatch):
    folder, seeds, _ = ran
    lines = []
    monkeypatch.setattr(
        privacy_frontier, "build_methods", lambda *_: pytest.fail("trained again")
    )
    assert run(folder, lines) == json.loads(json.dumps(seeds))
    # As if killed between the last level of a seed and its intervals.
    folder.beside("seed_2/all", "result.json").unlink()
    assert run(folder, lines) == json.loads(json.dumps(seeds))
    assert len(lines) == 4
    assert all(line.endswith("was finished before") for line in lines)


def test_summary_of_redrawn_rows_has_intervals_over_seeds(ran):
    _, seeds, _ = ran
    redrawn = summarize_frontier(seeds, redrawn=True)
    given = summarize_frontier(seeds, redrawn=False)
    cells = [seed["levels"]["epsilon_8"]["pooled"]["auc"] for seed in seeds]
    values = [cell["value"] for cell in cells]
    for levels in (redrawn, given):
        cell = levels["epsilon_8"]["pooled"]["auc"]
        assert cell["values"] == values
        assert cell["mean"] == pytest.approx(sum(values) / 2)
    # Student's t with one degree of freedom; and means of limits over rows.
    half = 12.706 * abs(values[0] - values[1]) / 2
    low, high = redrawn["epsilon_8"]["pooled"]["auc"]["ci95"]
    assert (high - low) / 2 == pytest.approx(half, rel=1e-3)
    assert given["epsilon_8"]["pooled"]["auc"]["ci95"] == pytest.approx(
        [sum(cell[end] for cell in cells) / 2 for end in ("low", "high")]
    )
    assert redrawn["without"]["epsilon"] is None
    assert redrawn["epsilon_0.5"]["privacy"]["epsilon"] <= 0.5


def test_a_rate_that_few_rows_cannot_show_is_undefined_with_its_reason(ran):
    _, (seed, _), _ = ran
    few = copy.deepcopy(seed)
    cell = few["levels"]["without"]["membership"]["bank_a"]["tpr_at_fpr_0_1"]
    cell |= {"value": None, "low": None, "high": None, "reason": "too few others"}
    level = summarize_frontier([few], redrawn=False)["without"]
    found = level["membership"]["bank_a"]["tpr_at_fpr_0_1"]
    assert (found["mean"], found["reason"]) == (None, "too few others")
