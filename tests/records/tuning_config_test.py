"""Configuration of a search: what makes another one, and what is refused."""

import json

import pytest

from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.training_config import TrainingConfig
from tff_finance.records.tuning_config import TuningConfig


def study(**options):
    defaults = {
        "scenario": "market",
        "heterogeneity": 1.0,
        "seeds": (1000, 1001),
        "methods": ("fed_avg",),
        "training": TrainingConfig(),
    }
    return CaseStudyConfig(**defaults | options)


def config(**options):
    defaults = {
        "study": study(),
        "search": ("local_epochs=1,2",),
        "reported_seeds": (100, 101),
        "sampler_seed": 0,
        "prune": True,
        "optuna": "4.9.0",
    }
    return TuningConfig(**defaults | options)


def test_mapping_is_json_and_has_everything():
    mapping = config().to_mapping()
    assert json.loads(json.dumps(mapping)) == mapping
    assert mapping["search"] == ["local_epochs=1,2"]
    assert mapping["reported_seeds"] == [100, 101]
    assert mapping["seeds"] == [1000, 1001]
    assert mapping["training"]["rounds"] == 250


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"reported_seeds": (1, 1001)}, r"must not be reported, as \[1001\] are"),
        ({"study": study(seeds=(1000,))}, "`prune` needs two `seeds`"),
        ({"study": study(methods=("local", "fed_avg"))}, "`methods` must be one"),
        ({"sampler_seed": -1}, "`sampler_seed` must be between"),
        ({"search": ("proximal_mu=0:1",)}, "`proximal_mu` makes no difference to fed_"),
        ({"search": ("plateau_factor=0.1:0.9",)}, "`plateau_factor` needs `plateau_ra"),
        (
            {
                "study": study(methods=("fed_avg_dp_sgd",)),
                "search": ("most_rows_per_customer=4,8",),
            },
            "`most_rows_per_customer` needs `privacy_unit` customer",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        config(**options)
