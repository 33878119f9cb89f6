"""Training settings by name, wherever they stand."""

import dataclasses

import pytest
from absl import flags

from experiments import training_flags
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.training_config import TrainingConfig
from tff_finance.records.training_settings import (
    replace_settings,
    setting_kinds,
    setting_name,
    with_settings,
)


def test_kinds_are_those_that_flags_take():
    kinds = setting_kinds()
    assert kinds["client_learning_rate"] is float
    assert kinds["server_learning_rate"] is float  # or left open
    assert kinds["local_epochs"] is int
    assert kinds["server_optimizer"] is str
    assert kinds["hidden_units"] is tuple
    assert kinds["fine_tuning_epochs"] is int  # of a part
    assert not {"plateau_rates", "personalization", "fed_md_models"} & set(kinds)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("rounds", "rounds"),
        ("dp_sgd.rounds", "dp_rounds"),
        ("dp_sgd.target_epsilon", "target_epsilon"),
        ("institution_privacy.target_epsilon", "institution_epsilon"),
        ("asynchronous.buffer_size", "buffer_size"),
    ],
)
def test_a_place_has_a_name(path, name):
    assert setting_name(path) == name


def test_settings_are_replaced_where_they_stand():
    training = TrainingConfig(rounds=7)
    found = replace_settings(training, {"local_epochs": 3, "local_layers": 2})
    assert (found.rounds, found.local_epochs) == (7, 3)
    assert found.personalization.local_layers == 2
    assert dataclasses.replace(
        found, local_epochs=1, personalization=training.personalization
    ) == dataclasses.replace(training, local_epochs=1)
    assert replace_settings(training, {}) == training


def test_settings_of_two_parts_are_told_apart():
    training = TrainingConfig()
    found = replace_settings(training, {"local_epochs": 3, "dp_rounds": 9})
    assert (found.local_epochs, found.dp_sgd.local_epochs) == (3, 1)
    assert (found.rounds, found.dp_sgd.rounds) == (training.rounds, 9)
    assert setting_kinds()["dp_learning_rate"] is float


def test_settings_have_the_names_of_their_flags():
    """So that a file of the best ones can be taken by --flagfile."""
    known = set(flags.FLAGS.get_key_flags_for_module(training_flags.__name__))
    assert set(setting_kinds()) <= {flag.name for flag in known}


def test_what_is_no_setting_is_refused():
    with pytest.raises(ValueError, match=r"\['epochs'\], which no training has"):
        replace_settings(TrainingConfig(), {"epochs": 3, "rounds": 2})


def test_settings_are_checked_together_with_the_method():
    config = CaseStudyConfig(
        scenario="market",
        heterogeneity=1.0,
        seeds=(0,),
        methods=("scaffold",),
        training=TrainingConfig(),
    )
    found = with_settings(config, {"client_learning_rate": 0.25})
    assert found.training.client_learning_rate == 0.25
    assert found.methods == ("scaffold",)
    with pytest.raises(ValueError, match="`client_optimizer` must be sgd"):
        with_settings(config, {"client_optimizer": "adam"})
