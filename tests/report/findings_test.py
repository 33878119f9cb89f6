"""The summary in plain language never says more than the numbers show."""

import copy
import dataclasses

import pytest

from tests.report.sample import sample_record, sample_study
from tff_finance.report.catalogue import Words
from tff_finance.report.findings import findings, tiles

WORDS = Words("en")


def with_gain(study, **value):
    """The study with another gain of bank_a."""
    summary = copy.deepcopy(dict(study.summary))
    summary["gain"]["bank_a"]["fed_avg"]["accuracy"] = value
    return dataclasses.replace(study, summary=summary)


def text_of(study):
    return "\n".join(findings(study, WORDS))


def test_population_is_called_synthetic():
    assert "synthetic" in findings(sample_study(), WORDS)[0]


def test_the_whole_market_figure_is_explained():
    text = text_of(sample_study())
    assert "a bank's model applied to all banks' customers" in text
    assert "50\N{NO-BREAK SPACE}% are its own" in text


@pytest.mark.parametrize(
    ("value", "said", "unsaid"),
    [
        ({"mean": 0.02, "ci95": [0.01, 0.03]}, "bank_a gains", "bank_a loses"),
        ({"mean": -0.02, "ci95": [-0.03, -0.01]}, "bank_a loses", "bank_a gains"),
        ({"mean": 0.02, "ci95": [-0.01, 0.05]}, "includes 0", "bank_a gains"),
        ({"mean": 0.02, "ci95": [0.0, 0.04]}, "includes 0", "bank_a gains"),
        (
            {"mean": 0.02, "ci95": None, "reason": "one seed gives no interval"},
            "one seed gives no interval",
            "bank_a gains",
        ),
        ({"mean": None, "reason": "undefined"}, "n/a", "bank_a gains"),
    ],
)
def test_a_gain_is_claimed_only_if_its_interval_shows_it(value, said, unsaid):
    text = text_of(with_gain(sample_study(), **value))
    assert said in text
    assert unsaid not in text


@pytest.mark.parametrize(
    ("together", "alone", "said"),
    [
        ([0.90, 0.92], [0.80, 0.85], "lies above"),
        ([0.80, 0.85], [0.90, 0.92], "lies below"),
        ([0.84, 0.92], [0.80, 0.85], "overlaps"),
        (None, [0.80, 0.85], "stays open"),
    ],
)
def test_market_comparison_follows_the_intervals(together, alone, said):
    study = sample_study()
    summary = copy.deepcopy(dict(study.summary))
    for method, interval in (("fed_avg", together), ("local", alone)):
        summary["methods"][method]["pooled"]["accuracy"]["ci95"] = interval
    text = text_of(dataclasses.replace(study, summary=summary))
    assert said in text


def test_one_seed_claims_nothing():
    study = sample_study(sample_record(seeds=(3,)))
    text = text_of(study)
    assert "gains," not in text
    assert "loses," not in text
    assert "stays open" in text
    assert all("no interval" in tile.interval for tile in tiles(study, WORDS))


def test_the_number_of_gains_that_hold_at_once_is_named():
    study = sample_study()
    summary = copy.deepcopy(dict(study.summary))
    for bank, limits in (("bank_a", [0.01, 0.03]), ("bank_b", [-0.01, 0.03])):
        value = summary["gain"][bank]["fed_avg"]["accuracy"]
        value["simultaneous"] = {"size": 4, "ci95": limits}
    text = text_of(dataclasses.replace(study, summary=summary))
    assert "hold for all 4 gains of the table at once, 1 of these 2 exclude 0" in text


def with_effort(study, method, **values):
    summary = copy.deepcopy(dict(study.summary))
    summary["methods"][method] |= values
    return dataclasses.replace(study, summary=summary)


def test_runs_stopped_while_improving_are_named():
    stopped = "ended at the most rounds allowed"
    study = sample_study()
    assert stopped not in text_of(study)
    few = with_effort(study, "fed_avg", runs=5, runs_stopped_at_maximum=2)
    assert "Together: FedAvg in 2 of 5 runs" in text_of(few)
    # Boosting has no other end.
    boosted = with_effort(study, "local", runs_stopped_at_maximum=0)
    summary = dict(boosted.summary)
    summary["methods"]["gradient_boosting"] = summary["methods"]["local"] | {
        "runs_stopped_at_maximum": 5
    }
    assert stopped not in text_of(dataclasses.replace(boosted, summary=summary))


def test_lost_updates_are_named():
    assert "not finite" not in text_of(sample_study())
    study = with_effort(sample_study(), "fed_avg", non_finite_updates=3)
    assert "3 updates of banks were not finite" in text_of(study)


@pytest.mark.parametrize("methods", [("local",), ("fed_avg",), ("centralized",)])
def test_a_single_method_is_enough(methods):
    study = sample_study(sample_record(methods=methods))
    assert findings(study, WORDS)
    for nonsense in ("None", "nan", "%("):
        assert nonsense not in text_of(study)
