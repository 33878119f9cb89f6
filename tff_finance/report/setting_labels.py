"""Names for readers: of settings, their values, and what is left open."""

from collections.abc import Mapping

from tff_finance.report import labels
from tff_finance.report.catalogue import Words, mark

_SETTINGS = {
    "experiment": mark("Experiment"),
    "scenario": mark("Scenario"),
    "heterogeneity": mark("Heterogeneity"),
    "seeds": mark("Seeds"),
    "methods": mark("Methods"),
    "training.hidden_units": mark("Widths of the hidden layers"),
    "training.client_optimizer": mark("Optimizer of the banks"),
    "training.client_learning_rate": mark("Learning rate of the banks"),
    "training.batch_size": mark("Rows of a batch"),
    "training.local_epochs": mark("Local epochs per FedAvg round"),
    "training.weighting": mark("Weight of a bank's update"),
    "training.rounds": mark("Most FedAvg rounds"),
    "training.server_optimizer": mark("Optimizer of the server"),
    "training.server_learning_rate": mark("Learning rate of the server"),
    "training.proximal_mu": mark("Strength of FedProx's proximal term"),
    "training.plateau_rates": mark("Learning rates reduced on a plateau"),
    "training.plateau_factor": mark("Factor of a reduction"),
    "training.plateau_patience": mark("Rounds without improvement before a reduction"),
    "training.plateau_minimum": mark("Least learning rate after reductions"),
    "training.fed_sgd_learning_rate": mark("Learning rate of FedSGD's server"),
    "training.fed_sgd_rounds": mark("Most FedSGD rounds"),
    "training.max_epochs": mark("Most epochs, alone and pooled"),
    "training.patience": mark("Rounds or epochs without improvement before a stop"),
    "training.fed_sgd_patience": mark(
        "FedSGD rounds without improvement before a stop"
    ),
    "training.fed_sgd_validate_every": mark("FedSGD rounds between two validations"),
    "training.personalization.fine_tuning_epochs": mark("Most epochs of fine-tuning"),
    "training.personalization.fine_tuning_learning_rate": mark(
        "Learning rate of fine-tuning"
    ),
    "training.personalization.local_layers": mark("Layers of a FedPer head"),
    "training.personalization.fed_md_models": mark("Kinds of model in FedMD"),
    "training.personalization.fed_md_rounds": mark("FedMD rounds"),
    "training.personalization.fed_md_reference_rows": mark(
        "Reference rows that FedMD predicts"
    ),
    "training.personalization.fed_md_digest_epochs": mark(
        "Epochs of FedMD over reference rows, each round"
    ),
    "training.personalization.fed_md_revisit_epochs": mark(
        "Epochs of FedMD over own rows, each round"
    ),
    "training.participation.cohort_size": mark("Institutions of a round"),
    "training.participation.participation_rate": mark("Probability of taking part"),
    "training.participation.dropout_rate": mark("Probability of dropping out"),
    "training.participation.min_cohort": mark("Least institutions of a round"),
    "training.robustness.trimmed_share": mark("Share trimmed from either side"),
    "training.robustness.rejection_multiple": mark(
        "Median norms above which updates are rejected"
    ),
    "training.robustness.attack": mark("Simulated attack"),
    "training.robustness.attack_factor": mark("Factor of the attack"),
    "training.robustness.hostile_institution": mark("Hostile institution"),
    "training.dp_sgd.privacy_unit": mark("Unit of DP-SGD's batches"),
    "training.dp_sgd.most_rows_per_customer": mark("Most rows of a customer in DP-SGD"),
    "training.dp_sgd.target_epsilon.record": mark(
        "Privacy budget of DP-SGD: epsilon for each row"
    ),
    "training.dp_sgd.target_epsilon.customer": mark(
        "Privacy budget of DP-SGD: epsilon for each customer"
    ),
    "training.dp_sgd.delta.record": mark("Delta of DP-SGD for each row"),
    "training.dp_sgd.delta.customer": mark("Delta of DP-SGD for each customer"),
    "training.dp_sgd.noise_multiplier": mark("Noise over clipping norm of DP-SGD"),
    "training.dp_sgd.l2_clip_norm": mark("Clipping norm of DP-SGD"),
    "training.dp_sgd.batch_size": mark("Expected batch size of DP-SGD"),
    "training.dp_sgd.local_epochs": mark("Local epochs of a round of DP-SGD"),
    "training.dp_sgd.rounds": mark("Rounds of DP-SGD"),
    "training.dp_sgd.learning_rate": mark("Learning rate of DP-SGD's local steps"),
    "training.asynchronous.institution_seconds": mark(
        "Simulated seconds of a bank's round"
    ),
    "training.asynchronous.institutions": mark("Simulated times by bank"),
    "training.asynchronous.outage_rate": mark("Outages per simulated second"),
    "training.asynchronous.outage_seconds": mark("Simulated seconds of an outage"),
    "training.asynchronous.buffer_size": mark("Updates in FedBuff's buffer"),
    "training.asynchronous.staleness_exponent": mark("Exponent of staleness"),
    "training.asynchronous.fed_buff_server_learning_rate": mark(
        "Learning rate of FedBuff's server"
    ),
    "training.asynchronous.max_staleness": mark("Staleness beyond which FedBuff drops"),
    "training.asynchronous.fed_buff_rounds": mark("Most FedBuff rounds"),
    "training.asynchronous.fed_buff_patience": mark(
        "FedBuff rounds without improvement before a stop"
    ),
    "training.asynchronous.max_simulated_seconds": mark("Most simulated seconds"),
    "training.quantization_bits": mark("Bits of a quantized coordinate"),
    "training.top_k_share": mark("Share of coordinates that top-k sends"),
    "training.validation_auc": mark("AUC on the validation curves"),
    "training.institution_privacy.branches": mark("Branches of each bank"),
    "training.institution_privacy.accept_vacuous_privacy": mark(
        "Hide institutions among too few"
    ),
    "training.institution_privacy.target_epsilon.branch": mark(
        "Epsilon for each branch"
    ),
    "training.institution_privacy.target_epsilon.institution": mark(
        "Epsilon for each bank"
    ),
    "training.institution_privacy.delta.branch": mark("Delta for each branch"),
    "training.institution_privacy.delta.institution": mark("Delta for each bank"),
    "training.institution_privacy.cohort": mark("Branches of a round"),
    "training.institution_privacy.rounds": mark("Rounds of branches"),
    "training.institution_privacy.passes": mark(
        "Turns of each branch, in methods by passes"
    ),
    "training.institution_privacy.l2_clip_norm": mark(
        "Largest norm of a branch's update"
    ),
    "training.institution_privacy.clip_quantile": mark(
        "Share of updates that adaptive clipping leaves"
    ),
    "training.institution_privacy.honest_share": mark(
        "Share of a cohort that makes the distributed noise"
    ),
    "training.institution_privacy.batch_size": mark("Rows of a branch's batch"),
    "training.institution_privacy.local_epochs": mark("Epochs of a branch in a round"),
    "training.institution_privacy.learning_rate": mark("Learning rate of the branches"),
    "training.secure_aggregation.l2_clip_norm": mark(
        "Largest norm of an update in a secure sum"
    ),
    "training.secure_aggregation.largest_weight": mark(
        "Most rows that count in a secure sum"
    ),
    "runtime": mark("Where computations ran"),
    "task": mark("Task"),
    "dataset": mark("Table"),
    "files": mark("Files"),
    "contract": mark("Contract"),
    "contract_sha256": mark("SHA-256 of the contract"),
    "partition": mark("Partition"),
    "split": mark("Split"),
    "preparation": mark("Preparation of the table"),
    "clusters": mark("Rows that belong together"),
    "class_weights": mark("Class weights"),
    "resamples": mark("Bootstrap resamples"),
    "contribution.method": mark("Contributions to the model of"),
    "contribution.coalitions": mark("Coalitions that train"),
}

_VALUES = {
    "bank_case_study": mark("Bank case study"),
    "comparison": mark("Comparison on real tables"),
    "risk": mark("credit risk"),
    "marketing": mark("marketing"),
    "fraud": mark("fraud"),
    "own tables": mark("institutions' own tables"),
    "market": mark("market: large banks, each with its own segment"),
    "scarce_labels": mark("scarce labels: small banks that differ mildly"),
    "dominant_bank": mark("dominant bank: one large bank and two small ones"),
    "examples": mark("by its training rows"),
    "uniform": mark("the same for every bank"),
    "in_process": mark("in the program's own process"),
    "tff": mark("in TFF's worker"),
    "workers": mark("in several TFF workers"),
    "record": mark("each row by itself"),
    "customer": mark("each customer with all rows"),
    "client": mark("the banks'"),
    "server": mark("the server's"),
    "all": mark("all"),
    "leave_one_out": mark("all banks, and all but one"),
}

# What a setting that is left open means.
_OPTIMIZERS_OWN = mark("the optimizer's usual one")
_BY_POPULATION = mark("min(1e-5, 1 / (10 n)) for n units")
_UNLIMITED = mark("unlimited")
_NOT_GIVEN = mark("not given")
_LEFT_OPEN = {
    "training.server_learning_rate": _OPTIMIZERS_OWN,
    "training.fed_sgd_learning_rate": _OPTIMIZERS_OWN,
    "training.personalization.fine_tuning_learning_rate": mark("that of local steps"),
    "training.participation.cohort_size": mark("all"),
    "training.dp_sgd.noise_multiplier": mark("calibrated, at each bank"),
    "training.dp_sgd.delta.record": _BY_POPULATION,
    "training.dp_sgd.delta.customer": _BY_POPULATION,
    "training.institution_privacy.delta.branch": _BY_POPULATION,
    "training.institution_privacy.delta.institution": _BY_POPULATION,
    "training.asynchronous.fed_buff_server_learning_rate": mark(
        "that of other methods"
    ),
    "training.asynchronous.max_staleness": _UNLIMITED,
    "training.asynchronous.max_simulated_seconds": _UNLIMITED,
}


def setting(name: str, words: Words) -> str:
    """A setting by its path in the configuration."""
    return words.say(_SETTINGS.get(name, name))


def setting_value(value: object, words: Words, *, of: str = "") -> str:
    """The value of a setting, whose path says what it means to be left open."""
    if value is None:
        return words.say(_LEFT_OPEN.get(of, _NOT_GIVEN))
    if isinstance(value, list):
        return words.say(", ").join(setting_value(item, words) for item in value)
    if isinstance(value, Mapping):
        return " ".join(str(item) for item in value.values() if item)
    text = str(value)
    if text in labels.METHODS:
        return labels.method(text, words)
    return words.say(_VALUES.get(text, text)) if text else ""
