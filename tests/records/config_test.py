"""Configuration: JSON round trip, and errors that name the argument."""

import dataclasses
import json
import math

import pytest

from tff_finance.records.asynchronous_config import (
    FROM_FILE,
    AsynchronousConfig,
    InstitutionTimes,
)
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.contribution_config import ContributionConfig
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.institution_privacy_config import SecureAggregationConfig
from tff_finance.records.method_names import INSTITUTION_PRIVATE_METHODS, METHODS
from tff_finance.records.participation import ParticipationConfig
from tff_finance.records.personalization_config import PersonalizationConfig
from tff_finance.records.robustness import RobustnessConfig
from tff_finance.records.training_config import TrainingConfig


def config(**options):
    defaults = {
        "scenario": "market",
        "heterogeneity": 0.25,
        "seeds": (3, 4),
        "methods": METHODS,
        "training": TrainingConfig(hidden_units=(8, 4), client_learning_rate=0.1),
    }
    return CaseStudyConfig(**defaults | options)


ONLY_A = {
    "institution_seconds": FROM_FILE,
    "institutions": (InstitutionTimes(institution="a", seconds=9.0),),
}


def on_clock(text, seconds):
    return AsynchronousConfig(institution_seconds=text, max_simulated_seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        config(),
        config(seeds=(0,), methods=("fed_sgd",), heterogeneity=1),
        config(training=TrainingConfig(hidden_units=(), weighting="uniform")),
        config(contribution=ContributionConfig(method="centralized")),
        config(
            methods=("fed_avg", "fed_sgd"),
            training=TrainingConfig(
                server_optimizer="adam",
                server_learning_rate=0.01,
                plateau_rates=("client", "server"),
            ),
        ),
        config(
            training=TrainingConfig(
                personalization=PersonalizationConfig(
                    fine_tuning_learning_rate=0.1,
                    fed_md_models=("8", "gradient_boosting", "4,4"),
                )
            )
        ),
    ],
)
def test_round_trip_through_json(value):
    mapping = value.to_mapping()
    text = json.dumps(mapping, allow_nan=False)
    assert json.loads(text) == mapping
    assert CaseStudyConfig.from_mapping(json.loads(text)) == value


def test_settings_that_an_older_record_lacks_have_their_defaults():
    mapping = config().to_mapping()
    for name in ("plateau_rates", "server_optimizer", "proximal_mu", "personalization"):
        del mapping["training"][name]
    assert CaseStudyConfig.from_mapping(mapping) == config()


def test_every_field_is_in_the_mapping():
    mapping = config().to_mapping()
    assert set(mapping) == {f.name for f in dataclasses.fields(CaseStudyConfig)}
    assert set(mapping["training"]) == {
        f.name for f in dataclasses.fields(TrainingConfig)
    }


def test_from_mapping_leaves_its_argument_alone():
    mapping = config().to_mapping()
    CaseStudyConfig.from_mapping(mapping)
    assert mapping == config().to_mapping()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_units", (4, 0)),
        ("client_learning_rate", 0.0),
        ("client_learning_rate", math.nan),
        ("fed_sgd_learning_rate", -1.0),
        ("weighting", "size"),
        ("client_optimizer", "lion"),
        ("server_optimizer", "lion"),
        ("server_learning_rate", 0.0),
        ("proximal_mu", -0.1),
        ("plateau_rates", ("both",)),
        ("plateau_factor", 1.0),
        ("quantization_bits", 17),
        ("quantization_bits", 0),
        ("top_k_share", 0.0),
        ("top_k_share", 1.1),
        ("plateau_patience", 0),
        ("plateau_minimum", -1.0),
        ("batch_size", 0),
        ("local_epochs", 0),
        ("rounds", 0),
        ("fed_sgd_rounds", 0),
        ("max_epochs", 0),
        ("patience", 0),
        ("fed_sgd_patience", -1),
    ],
)
def test_training_errors_name_the_argument(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` must"):
        TrainingConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_epsilon", 0.0),
        ("target_epsilon", math.inf),
        ("delta", 0.0),
        ("delta", 1.5),
        ("noise_multiplier", 0.0),
        ("l2_clip_norm", -1.0),
        ("learning_rate", 0.0),
        ("batch_size", 0),
        ("local_epochs", 0),
        ("rounds", 0),
        ("privacy_unit", "household"),
        ("most_rows_per_customer", 0),
    ],
)
def test_dp_sgd_errors_name_the_argument(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` must"):
        DpSgdConfig(**{name: value})


def test_settings_of_dp_sgd_come_back():
    training = TrainingConfig(dp_sgd=DpSgdConfig(target_epsilon=0.5, delta=1e-6))
    asked = config(training=training)
    assert CaseStudyConfig.from_mapping(asked.to_mapping()) == asked


def test_customers_are_protected_only_where_they_are_named():
    training = TrainingConfig(dp_sgd=DpSgdConfig(privacy_unit="customer"))
    with pytest.raises(ValueError, match="customer needs a column that names the cust"):
        config(training=training)


@pytest.mark.parametrize("method", ["fed_avg_dp_sgd", "fed_avg_poisson"])
def test_poisson_batches_are_not_for_shards(method):
    with pytest.raises(ValueError, match=f"`methods` can't have {method} with the run"):
        config(methods=("fed_avg", method), runtime="tff")
    assert config(methods=("fed_avg", method), runtime="in_process")


@pytest.mark.parametrize("rate", ["client", "server"])
def test_a_plateau_whose_rate_can_not_fall_is_refused(rate):
    rates = {f"{rate}_learning_rate": 0.5, "plateau_rates": (rate,)}
    assert TrainingConfig(plateau_minimum=0.4, **rates)
    with pytest.raises(ValueError, match=f"below `{rate}_learning_rate`, 0.5"):
        TrainingConfig(plateau_minimum=0.5, **rates)


def test_a_plateau_that_training_does_not_live_to_see_is_refused():
    options = {"plateau_rates": ("client",), "patience": 10}
    late = TrainingConfig(plateau_patience=10, **options)
    with pytest.raises(ValueError, match="`plateau_patience` must be below `patience`"):
        config(methods=("fed_avg",), training=late)
    in_time = TrainingConfig(plateau_patience=9, **options)
    assert config(methods=("fed_avg",), training=in_time)


def test_fed_buff_has_its_own_patience_and_clock():
    training = TrainingConfig(
        plateau_rates=("server",),
        plateau_patience=30,
        asynchronous=AsynchronousConfig(outage_rate=1e-4, outage_seconds=600.0),
    )
    assert config(methods=("fed_buff",), training=training)
    with pytest.raises(ValueError, match="`plateau_patience` must be below `patience`"):
        config(methods=("fed_avg", "fed_buff"), training=training)
    steady = dataclasses.replace(training, plateau_rates=())
    assert config(methods=("local", "fed_buff"), training=steady)
    with pytest.raises(ValueError, match="without a simulated clock"):
        config(methods=("local", "fed_avg"), training=steady)


def test_fed_buffs_rates_fall_in_time_and_at_the_server_only():
    methods = ("fed_avg", "fed_buff")
    options = {"plateau_rates": ("server",), "plateau_patience": 20}
    training = TrainingConfig(**options)
    assert config(methods=methods, training=training)
    client = dataclasses.replace(training, plateau_rates=("client", "server"))
    with pytest.raises(ValueError, match="`plateau_rates` must be without client"):
        config(methods=methods, training=client)
    assert config(methods=("fed_avg",), training=client)
    hasty = dataclasses.replace(
        training, asynchronous=AsynchronousConfig(fed_buff_patience=20)
    )
    message = "`plateau_patience` must be below `fed_buff_patience`, 20"
    with pytest.raises(ValueError, match=message):
        config(methods=methods, training=hasty)
    assert config(methods=("fed_avg",), training=hasty)


def test_scaffold_is_of_plain_sgd():
    training = TrainingConfig(client_optimizer="adam")
    with pytest.raises(ValueError, match="`client_optimizer` must be sgd for scaffold"):
        config(methods=("fed_avg", "scaffold"), training=training)
    assert config(methods=("fed_avg", "fed_prox"), training=training)


@pytest.mark.parametrize("method", ["scaffold", "fed_per", "fed_avg_top_k"])
def test_institution_state_is_not_for_workers_of_other_machines(method):
    with pytest.raises(
        ValueError, match=f"`methods` can't have {method} with the runtime"
    ):
        config(methods=("fed_avg", method), runtime="workers")
    assert config(methods=("fed_avg", "fed_prox"), runtime="workers")


def test_a_head_has_no_more_layers_than_the_model():
    training = TrainingConfig(
        hidden_units=(8,), personalization=PersonalizationConfig(local_layers=3)
    )
    with pytest.raises(ValueError, match="`local_layers` must be at most 2"):
        config(methods=("fed_per",), training=training)
    assert config(methods=("fed_avg",), training=training)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fine_tuning_epochs", -1),
        ("fine_tuning_learning_rate", 0.0),
        ("local_layers", -1),
        ("fed_md_models", ()),
        ("fed_md_models", ("32,0",)),
        ("fed_md_models", ("forest",)),
        ("fed_md_rounds", 0),
        ("fed_md_reference_rows", 0),
        ("fed_md_digest_epochs", 0),
        ("fed_md_revisit_epochs", 0),
    ],
)
def test_personalization_errors_name_the_argument(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` must"):
        PersonalizationConfig(**{name: value})


def test_kinds_of_model():
    models = ("32,16", "gradient_boosting", "8")
    kinds = PersonalizationConfig(fed_md_models=models).fed_md_kinds
    assert kinds == ((32, 16), None, (8,))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("heterogeneity", 1.5, "between 0.0 and 1.0, got 1.5"),
        ("heterogeneity", math.nan, "between"),
        ("seeds", (), "distinct values"),
        ("seeds", (1, 2, 1), r"distinct values, got \(1, 2, 1\)"),
        ("seeds", (-1,), "got -1"),
        ("seeds", (2**31,), "got 2147483648"),
        ("methods", (), "distinct values"),
        ("methods", ("local", "local"), "distinct values"),
        ("methods", ("local", "fed_magic"), "one of local, .*; got 'fed_magic'"),
    ],
)
def test_case_study_errors_name_the_argument(name, value, message):
    with pytest.raises(ValueError, match=f"^`{name}` must be .*{message}"):
        config(**{name: value})


def test_contributions_are_to_a_model_that_all_share():
    with pytest.raises(ValueError, match=r"`contribution` must be one of .*fed_avg"):
        config(contribution=ContributionConfig(method="local"))
    with pytest.raises(ValueError, match="`coalitions` must be one of all, leave_one"):
        ContributionConfig(coalitions="some")


def test_contributions_are_checked_like_methods():
    asked = ContributionConfig(method="scaffold")
    with pytest.raises(ValueError, match="`client_optimizer` must be sgd"):
        config(
            methods=("fed_avg",),
            training=TrainingConfig(client_optimizer="adam"),
            contribution=asked,
        )
    with pytest.raises(ValueError, match="runtime workers"):
        config(methods=("fed_avg",), runtime="workers", contribution=asked)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"participation": ParticipationConfig(cohort_size=2)}, "everyone in every"),
        (
            {
                "asynchronous": AsynchronousConfig(
                    institution_seconds="equal(60)", max_simulated_seconds=600.0
                )
            },
            "from a file",
        ),
    ],
)
def test_contributions_compare_coalitions_of_one_world(settings, message):
    with pytest.raises(ValueError, match=message):
        config(
            training=TrainingConfig(**settings),
            methods=("fed_avg",),
            contribution=ContributionConfig(method="fed_avg"),
        )


@pytest.mark.parametrize("method", INSTITUTION_PRIVATE_METHODS)
def test_contributions_spend_no_institutions_privacy_unseen(method):
    with pytest.raises(ValueError, match="would spend privacy"):
        config(contribution=ContributionConfig(method=method))


@pytest.mark.parametrize("method", ["fed_sgd", "fed_avg_dp_sgd", "fed_md"])
def test_a_clock_is_for_methods_that_are_on_it(method):
    clock = AsynchronousConfig(institution_seconds="equal(60)")
    with pytest.raises(ValueError, match=f"institution_seconds .*{method}"):
        config(methods=("fed_avg", method), training=TrainingConfig(asynchronous=clock))


def test_contributions_spend_no_privacy_unseen():
    with pytest.raises(ValueError, match="spend privacy of the same records again"):
        config(contribution=ContributionConfig(method="fed_avg_dp_sgd"))


def test_an_older_record_asked_for_no_contributions():
    mapping = config().to_mapping()
    del mapping["contribution"]
    assert CaseStudyConfig.from_mapping(mapping) == config()


def test_records_of_an_earlier_version_had_everyone_and_nobody_hostile():
    mapping = config().to_mapping()
    for name in ("participation", "robustness"):
        del mapping["training"][name]
    assert CaseStudyConfig.from_mapping(mapping) == config()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trimmed_share": 0.5}, "`trimmed_share` must be at least 0 and below 0.5"),
        ({"rejection_multiple": 0.9}, "`rejection_multiple` must be at least 1"),
        ({"attack": "magic"}, "`attack` must be one of none, sign_flip"),
        ({"attack_factor": 0.0}, "`attack_factor` must be positive"),
        ({"attack": "scale"}, "`hostile_institution` and `attack` go together"),
        ({"hostile_institution": "bank_a"}, "go together, got 'bank_a' and 'none'"),
    ],
)
def test_robustness_errors_name_the_argument(settings, message):
    with pytest.raises(ValueError, match=message):
        RobustnessConfig(**settings)


def test_settings_for_which_a_method_has_no_room_are_refused():
    attack = RobustnessConfig(attack="random", hostile_institution="bank_a")
    attacked = TrainingConfig(robustness=attack)
    with pytest.raises(ValueError, match=r"with attack settings .* got \['scaffold'\]"):
        config(methods=("local", "fed_avg", "scaffold"), training=attacked)
    assert config(methods=("local", "fed_avg", "centralized"), training=attacked)
    sampled = TrainingConfig(participation=ParticipationConfig(cohort_size=2))
    with pytest.raises(ValueError, match=r"with participation settings .* \['fed_per'"):
        config(methods=("fed_avg", "fed_per"), training=sampled)
    sampling = config(methods=("scaffold", "fed_sgd", "local"), training=sampled)
    assert CaseStudyConfig.from_mapping(sampling.to_mapping()) == sampling


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            {"robustness": RobustnessConfig(attack="scale", hostile_institution="c")},
            "`hostile_institution` must be one of a, b; got 'c'",
        ),
        (
            {"participation": ParticipationConfig(cohort_size=3)},
            "`cohort_size` must be between 1 and 2, got 3",
        ),
        (
            {"participation": ParticipationConfig(min_cohort=3)},
            "`min_cohort` must be between 1 and 2, got 3",
        ),
        (
            {"asynchronous": AsynchronousConfig(**ONLY_A)},
            r"`institution_seconds` must have times of \['b'\] as well, got .*\['a'\]",
        ),
        (
            {"asynchronous": on_clock("equal(60)", 59)},
            "must leave time for a round, which takes 60 s at least; got 59",
        ),
    ],
)
def test_settings_that_the_institutions_cannot_satisfy_are_refused(training, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**training).check_institutions(["a", "b"])
    with pytest.raises(ValueError, match=message):
        config(
            methods=("fed_avg",), training=TrainingConfig(**training)
        ).check_suits_institutions({"a": 5, "b": 5})
    TrainingConfig().check_institutions(["a", "b"])


@pytest.mark.parametrize(
    "clock",
    [
        on_clock("equal(60)", 60),
        on_clock("lognormal(60, 0.5)", 1),  # luck may have it
        on_clock("one_slow(60, 10)", 600),
        AsynchronousConfig(**ONLY_A, max_simulated_seconds=9.0),
    ],
)
def test_clocks_on_which_a_round_can_end_are_taken(clock):
    TrainingConfig(asynchronous=clock).check_institutions(["a"], ["fed_avg"])


def test_a_round_that_waits_lasts_as_long_as_its_slowest():
    training = TrainingConfig(asynchronous=on_clock("one_slow(60, 10)", 599))
    training.check_institutions(["a", "b"], ["local", "fed_buff"])
    with pytest.raises(ValueError, match="takes 600 s at least; got 599"):
        training.check_institutions(["a", "b"], ["fed_avg", "fed_buff"])
    hasty = TrainingConfig(asynchronous=on_clock("one_slow(60, 0.5)", 29))
    with pytest.raises(ValueError, match="takes 30 s at least; got 29"):
        hasty.check_institutions(["a", "b"], ["fed_buff"])


@pytest.mark.parametrize(
    "asked",
    [
        {"methods": ("local", "fed_avg_secure")},
        {
            "methods": ("fed_avg",),
            "contribution": ContributionConfig(method="fed_avg_secure"),
        },
    ],
)
def test_weights_that_secure_sums_have_no_room_for_are_refused(asked):
    bounds = SecureAggregationConfig(largest_weight=7)
    bounded = config(training=TrainingConfig(secure_aggregation=bounds), **asked)
    with pytest.raises(ValueError, match=r"must be at least 8.* of 'b', got 7: give"):
        bounded.check_suits_institutions({"a": 7, "b": 8})
    bounded.check_suits_institutions({"a": 7, "b": 7})
    uniform = TrainingConfig(secure_aggregation=bounds, weighting="uniform")
    dataclasses.replace(bounded, training=uniform).check_suits_institutions({"b": 8})
    dataclasses.replace(
        bounded, methods=("fed_avg",), contribution=None
    ).check_suits_institutions({"b": 8})
