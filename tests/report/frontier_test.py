"""Sentences and picture of the privacy frontier say what the numbers say."""

import copy

import pytest

from tff_finance.report.frontier_figure import draw_frontier
from tff_finance.report.frontier_sentences import frontier_sentences


def cell(mean, half=0.004):
    return {"mean": mean, "ci95": [mean - half, mean + half], "values": [mean]}


def level(epsilon, auc, attack, difference=None, half=0.004, banks=("a", "b")):
    membership = {
        name: {
            "auc": cell(attack),
            "tpr_at_fpr_1": cell(0.012),
            "tpr_at_fpr_0_1": cell(0.001, 0.001),
        }
        for name in ("", *banks)
    }
    privacy = {
        "epsilon": epsilon,
        "delta": 1e-5,
        "neighbouring": "add_or_remove_one",
        "accountant": "pld",
        "not_covered": ["preprocessing: sums", f"tuning: at {epsilon}"],
    }
    return {
        "epsilon": epsilon,
        "privacy": privacy if epsilon else None,
        "pooled": {"auc": cell(auc), "accuracy": cell(auc)},
        "own": {name: {"auc": cell(auc)} for name in banks},
        "membership": membership,
        "to_without": difference
        and {"auc": cell(difference, half), "accuracy": cell(difference, half)},
        "to_fed_avg": difference
        and {name: cell(difference - 0.005, half) for name in ("auc", "accuracy")},
    }


FRONTIER = {
    "metric": "auc",
    "institutions": ["a", "b"],
    "levels": {
        "epsilon_1": level(1.0, 0.74, 0.501, -0.04),
        "epsilon_4": level(4.0, 0.772, 0.502, -0.0055),
        "epsilon_8": level(8.0, 0.775, 0.52, -0.002),
        "without": level(None, 0.778, 0.53),
        "fed_avg": level(None, 0.779, 0.54, 0.001),
    },
}


def test_the_verdict_is_about_the_far_limit():
    verdict = frontier_sentences(FRONTIER)[0]
    assert verdict.startswith("The strongest guarantee that keeps the AUC within 0.01")
    assert "is epsilon 4 per record, chosen on the test rows" in verdict
    wide = copy.deepcopy(FRONTIER)
    for name in ("epsilon_4", "epsilon_8"):
        wide["levels"][name]["to_without"]["auc"]["ci95"][0] = -0.02
    verdict = frontier_sentences(wide)[0]
    assert verdict.startswith("On average the AUC stays within 0.01")
    assert "from epsilon 4 per record on" in verdict
    for name in ("epsilon_1", "epsilon_4", "epsilon_8"):
        wide["levels"][name]["to_without"]["auc"]["mean"] = -0.03
    assert frontier_sentences(wide)[0].startswith("No epsilon keeps the AUC within")


def test_a_sentence_for_each_epsilon_and_one_without():
    _, one, four, eight, without, limits = frontier_sentences(FRONTIER)
    assert "At epsilon 1 per record (delta 1e-05 at most, add or remove one" in one
    assert "0.040 below the same training without privacy" in one
    assert "-0.044 to -0.036)" in one
    assert "0.045 below FedAvg with early stopping" in one
    assert "-0.049 to -0.041)" in one
    assert "which includes 0" not in four
    assert "not shown to beat chance (membership AUC 0.502 (0.498 to 0.506)" in four
    assert "which includes 0)" in eight
    assert "did better than chance (membership AUC 0.520" in eight
    assert "nothing bounds what they tell" in without
    for sentence in (one, four, eight, without):
        assert ", at 0.1 % 0.0010 (0.0000 to 0.0020))" in sentence
    assert "0.778 (0.774 to 0.782)" in without
    assert "early stopping 0.779" in without
    assert limits.endswith(
        "Not covered: preprocessing: sums; tuning: at 1.0; tuning: at 4.0; tuning: at "
        "8.0."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("tpr_at_fpr_1", cell(0.03)), ("tpr_at_fpr_0_1", cell(0.003, 0.0015))],
)
def test_an_attack_that_finds_some_rows_for_sure_beats_chance(name, value):
    """Also where its AUC, a mean over all rows, says nothing."""
    found = copy.deepcopy(FRONTIER)
    found["levels"]["epsilon_4"]["membership"][""][name] = value
    assert "did better than chance" in frontier_sentences(found)[2]


def test_of_one_seed_nothing_is_claimed():
    single = copy.deepcopy(FRONTIER)
    for one in single["levels"].values():
        for cells in (
            one["pooled"],
            one["to_without"] or {},
            *one["membership"].values(),
        ):
            for value in cells.values():
                value["ci95"] = None
    verdict, first, *_ = frontier_sentences(single)
    assert verdict.startswith("On average")
    assert "(no interval)" in first
    assert "chance" not in first


@pytest.mark.parametrize("number", [7, 9])
def test_banks_that_the_picture_has_no_room_for_are_counted(tmp_path, number):
    banks = [f"bank {n}" for n in range(number)]
    levels = {
        name: level(epsilon, 0.75, 0.5, -0.01, banks=banks)
        for name, epsilon in (("epsilon_1", 1.0), ("without", None), ("fed_avg", None))
    }
    path = tmp_path / "frontier.svg"
    frontier = {"metric": "auc", "institutions": banks, "levels": levels}
    draw_frontier(frontier, path)
    text = path.read_text(encoding="utf-8")
    assert "bank 6" in text
    assert "bank 7" not in text
    assert ("(the first 7 of 9 banks)" in text) == (number == 9)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture_is_drawn(tmp_path, ending):
    path = tmp_path / f"frontier.{ending}"
    draw_frontier(FRONTIER, path)
    assert path.stat().st_size > 5000
