"""The settings that a page lists: those that were read, and what they mean."""

import dataclasses
import json

import pytest

from tests.report.page_test import rendered
from tests.report.sample import by_other_method, sample_record, sample_study
from tff_finance.records.method_names import METHODS
from tff_finance.records.training_config import TrainingConfig
from tff_finance.records.training_settings import replace_settings
from tff_finance.report import setting_labels
from tff_finance.report.catalogue import LANGUAGES, Words
from tff_finance.report.content import Study
from tff_finance.report.settings_section import flat_settings, settings_section

WORDS = Words("en")


def with_training(record, **given):
    """The record of a run with these settings by name, and defaults."""
    training = replace_settings(TrainingConfig(), given)
    mapping = json.loads(json.dumps(dataclasses.asdict(training)))
    return dataclasses.replace(record, config=record.config | {"training": mapping})


def by(method, **given):
    return with_training(by_other_method(sample_record(), method), **given)


def shown(record, words=WORDS):
    """Values by label."""
    (table, *_) = settings_section(sample_study(record), words).tables
    assert len({row[0] for row in table.rows}) == len(table.rows)
    return {label: value for label, value in table.rows}


@pytest.mark.parametrize("language", list(LANGUAGES))
@pytest.mark.parametrize("unread", [{}, {"target_epsilon": 1.0, "branches": 500}])
def test_an_unprotected_run_has_no_setting_of_privacy(language, unread):
    """Whatever the configuration has, since no method reads it."""
    record = with_training(sample_record(), **unread)
    table = settings_section(sample_study(record), Words(language)).tables[0]
    text = json.dumps([*table.rows, *table.frame.to_numpy().tolist()]).lower()
    for word in ("epsilon", "delta", "dp-sgd", "privacy", "branch"):
        assert word not in text
    for word in ("隐私", "支行"):
        assert json.dumps(word).strip('"') not in text
    assert "rounds" in text


def test_the_whole_unprotected_page_has_no_epsilon_among_its_settings():
    text = rendered(with_training(sample_record()), figures=False)
    settings = text[text.index('id="settings"') :].lower()
    assert "most fedavg rounds" in settings
    assert "epsilon" not in settings


@pytest.mark.parametrize(
    ("given", "unit"), [({}, "row"), ({"privacy_unit": "customer"}, "customer")]
)
def test_epsilon_and_delta_have_their_unit(given, unit):
    found = shown(by("fed_avg_dp_sgd", target_epsilon=2.0, **given))
    assert found[f"Privacy budget of DP-SGD: epsilon for each {unit}"] == "2.0"
    assert found[f"Delta of DP-SGD for each {unit}"] == (
        "min(1e-5, 1 / (10 n)) for n units"
    )
    assert found["Noise over clipping norm of DP-SGD"] == "calibrated, at each bank"
    assert ("Most rows of a customer in DP-SGD" in found) == (unit == "customer")
    assert [name for name in found if "psilon" in name and unit not in name] == []


@pytest.mark.parametrize(("branches", "unit"), [(500, "branch"), (0, "bank")])
def test_without_branches_the_bank_is_the_unit(branches, unit):
    found = shown(
        by(
            "dp_ftrl",
            institution_epsilon=3.0,
            institution_delta=1e-4,
            branches=branches,
        )
    )
    assert found[f"Epsilon for each {unit}"] == "3.0"
    assert found[f"Delta for each {unit}"] == "0.0001"
    assert not any("DP-SGD" in name for name in found)


def test_given_values_stand_as_they_are():
    found = shown(by("fed_avg_dp_sgd", noise_multiplier=1.5, delta=1e-6))
    assert found["Noise over clipping norm of DP-SGD"] == "1.5"
    assert found["Delta of DP-SGD for each row"] == "1e-06"


@pytest.mark.parametrize(
    ("given", "size", "rate"),
    [
        ({}, "all", None),
        ({"cohort_size": 2}, "2", None),
        ({"participation_rate": 0.5}, None, "0.5"),
    ],
)
def test_who_takes_part_is_said_once(given, size, rate):
    found = shown(with_training(sample_record(), **given))
    assert found.get("Institutions of a round") == size
    assert found.get("Probability of taking part") == rate


def test_what_is_left_open_is_said_in_words_of_its_own():
    found = shown(by("fed_buff"))
    assert found["Learning rate of the server"] == "the optimizer's usual one"
    assert found["Learning rate of FedBuff's server"] == "that of other methods"
    assert found["Most simulated seconds"] == "unlimited"


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_all_settings_of_all_methods_have_labels_and_words(language):
    record = with_training(sample_record())
    config = record.config | {"methods": list(METHODS)}
    summary = {
        "experiment": record.experiment,
        "config": config,
        "methods": dict.fromkeys(METHODS),
    }
    found = flat_settings(Study(key="", record=record, summary=summary))
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    assert names <= {path.split(".")[1] for path in found if "." in path}
    words = Words(language)
    for path, value in found.items():
        assert setting_labels.setting(path, words) != path
        assert setting_labels.setting_value(value, words, of=path) not in {
            words.say("not given"),
            "None",
        }


def test_the_method_of_contributions_reads_its_settings():
    record = with_training(sample_record())
    plain, secure = (
        flat_settings(
            Study(
                key="",
                record=record,
                summary={
                    "experiment": "comparison",
                    "config": record.config | {"contribution": contribution},
                    "methods": {"local": {}},
                },
            )
        )
        for contribution in (None, {"method": "fed_avg_secure"})
    )
    name = "training.secure_aggregation.l2_clip_norm"
    assert name not in plain
    assert secure[name] == 20.0


def test_epsilons_of_other_units_are_no_values_of_one_setting():
    rows, customers = (
        by("fed_avg_dp_sgd", privacy_unit=unit) for unit in ("record", "customer")
    )
    text = rendered(rows, customers, figures=False)
    for unit, cells in (
        ("row", "<td>8.0</td><td></td>"),
        ("customer", "<td></td><td>8.0</td>"),
    ):
        label = f"Privacy budget of DP-SGD: epsilon for each {unit}"
        assert f'<tr><th scope="row">{label}</th>{cells}</tr>' in text
