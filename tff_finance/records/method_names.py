"""Names of the methods, and what each of them has or lacks."""

from collections.abc import Mapping
from types import MappingProxyType

# What the case study compares unless told otherwise.
DEFAULT_METHODS = ("local", "fed_avg", "fed_sgd", "centralized", "gradient_boosting")
METHODS = (
    *DEFAULT_METHODS,
    "fed_prox",
    "scaffold",
    "fed_avgm",
    "fed_adagrad",
    "fed_adam",
    "fed_yogi",
    "fed_buff",
    "fine_tuned",
    "fed_per",
    "fed_md",
    "fed_avg_median",
    "fed_avg_trimmed_mean",
    "fed_avg_geometric_median",
    "fed_avg_clipping",
    "fed_avg_rejecting",
    "fed_avg_dp_sgd",
    "fed_avg_poisson",
    "fed_avg_quantized",
    "fed_avg_top_k",
    "fed_avg_tff_compressed",
    "fed_avg_secure",
    "fed_avg_branches",
    "dp_fed_avg",
    "dp_fed_avg_adaptive",
    "dp_ftrl",
    "dp_fed_avg_distributed",
)
INSTITUTION_PRIVATE_METHODS = (
    "dp_fed_avg",
    "dp_fed_avg_adaptive",
    "dp_ftrl",
    "dp_fed_avg_distributed",
)
# Whose clients are branches, where institutions have any.
BRANCH_METHODS = ("fed_avg_branches", *INSTITUTION_PRIVATE_METHODS)
# Whose secure sums are simulated in this process only.
SECURE_METHODS = ("fed_avg_secure", "dp_fed_avg_distributed")
# Whose institutions keep state between rounds.
STATEFUL_METHODS = ("scaffold", "fed_per", "fed_avg_top_k")
# Whose rounds have no institutions as clients: settings of these leave them alone.
REFERENCES = ("local", "centralized", "gradient_boosting")
# Variants of FedAvg, which institutions may be hostile in.
UNDER_ATTACK = (
    "fed_avg",
    "fed_avgm",
    "fed_adagrad",
    "fed_adam",
    "fed_yogi",
    "fed_avg_median",
    "fed_avg_trimmed_mean",
    "fed_avg_geometric_median",
    "fed_avg_clipping",
    "fed_avg_rejecting",
)
# Whose rounds may be of some of the institutions.
WITH_COHORTS = (
    # TFF's estimates of quantiles are undefined for good after a round without anybody.
    *(m for m in UNDER_ATTACK if m != "fed_avg_clipping"),
    "fed_sgd",
    "fed_prox",
    "scaffold",
    "fed_avg_quantized",
    "fed_avg_top_k",
    "fed_avg_tff_compressed",
)
# Whose rounds a simulated clock is for.
WITH_CLOCK = (
    *(m for m in WITH_COHORTS if m != "fed_sgd"),
    "fed_avg_clipping",
    "fed_avg_secure",
    "fed_buff",
    "fine_tuned",
    "fed_per",
)
# Why a method leaves no network that all institutions share.
WITHOUT_GLOBAL_NETWORK: Mapping[str, str] = MappingProxyType(
    {
        "local": "trains a model for each institution",
        "gradient_boosting": "trains no network",
        "fine_tuned": "ends in a model for each institution",
        "fed_per": "ends in a model for each institution",
        "fed_md": "trains a model for each institution",
    }
)
# Whose every training spends privacy.
PRIVATE_METHODS = ("fed_avg_dp_sgd", *INSTITUTION_PRIVATE_METHODS)
# Whose batches are drawn from all rows at once.
ROWS_IN_MEMORY_METHODS = ("fed_avg_dp_sgd", "fed_avg_poisson")
GLOBAL_NETWORK_METHODS = tuple(m for m in METHODS if m not in WITHOUT_GLOBAL_NETWORK)
