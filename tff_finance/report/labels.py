"""Names for readers: of methods, metrics, settings, features and reasons."""

import re
from collections.abc import Mapping

from tff_finance.report.catalogue import Words, mark

METHODS = {
    "local": mark("Each bank alone"),
    "fed_avg": mark("Together: FedAvg"),
    "fed_sgd": mark("Together: FedSGD"),
    "centralized": mark("Rows pooled"),
    "gradient_boosting": mark("Rows pooled: boosting"),
    "fed_prox": mark("Together: FedProx"),
    "scaffold": mark("Together: SCAFFOLD"),
    "fed_avgm": mark("Together: FedAvgM"),
    "fed_adagrad": mark("Together: FedAdagrad"),
    "fed_adam": mark("Together: FedAdam"),
    "fed_yogi": mark("Together: FedYogi"),
    "fed_buff": mark("Together, asynchronously: FedBuff"),
    "fine_tuned": mark("Together, then tuned at each bank"),
    "fed_per": mark("Together, own heads: FedPer"),
    "fed_md": mark("Together by predictions: FedMD"),
    "fed_avg_median": mark("Together: median"),
    "fed_avg_trimmed_mean": mark("Together: trimmed mean"),
    "fed_avg_geometric_median": mark("Together: geometric median"),
    "fed_avg_clipping": mark("Together: clipping and zeroing"),
    "fed_avg_rejecting": mark("Together: rejecting"),
    "fed_avg_dp_sgd": mark("Together: FedAvg, DP-SGD"),
    "fed_avg_poisson": mark("Together: FedAvg, as DP-SGD without privacy"),
    "fed_avg_quantized": mark("FedAvg, quantized"),
    "fed_avg_top_k": mark("FedAvg, top-k"),
    "fed_avg_tff_compressed": mark("FedAvg, TFF's 8 bits"),
    "fed_avg_secure": mark("Together, secure sums: FedAvg"),
    "fed_avg_branches": mark("Together, by branches: FedAvg"),
    "dp_fed_avg": mark("Together, branches hidden: DP-FedAvg"),
    "dp_fed_avg_adaptive": mark("Together, branches hidden, adaptive clipping"),
    "dp_ftrl": mark("Together, branches hidden: DP-FTRL"),
    "dp_fed_avg_distributed": mark("Together, branches hidden from the server too"),
}

# Proper names: the same in every language.
_ALGORITHMS = {
    "fed_avg": "FedAvg",
    "fed_sgd": "FedSGD",
    "fed_prox": "FedProx",
    "scaffold": "SCAFFOLD",
    "fed_avgm": "FedAvgM",
    "fed_adagrad": "FedAdagrad",
    "fed_adam": "FedAdam",
    "fed_yogi": "FedYogi",
    "fed_buff": "FedBuff",
    "fine_tuned": "FedAvg, fine-tuned",
    "fed_per": "FedPer",
    "fed_md": "FedMD",
    "fed_avg_median": "FedAvg with the median",
    "fed_avg_trimmed_mean": "FedAvg with the trimmed mean",
    "fed_avg_geometric_median": "FedAvg with the geometric median",
    "fed_avg_clipping": "FedAvg with clipping and zeroing",
    "fed_avg_rejecting": "FedAvg with rejection",
    "fed_avg_dp_sgd": "FedAvg (DP-SGD)",
    "fed_avg_poisson": "FedAvg (Poisson)",
    "fed_avg_quantized": "FedAvg (quantized)",
    "fed_avg_top_k": "FedAvg (top-k)",
    "fed_avg_tff_compressed": "FedAvg (TFF's 8 bits)",
    "fed_avg_secure": "FedAvg, secure sums",
    "fed_avg_branches": "FedAvg of branches",
    "dp_fed_avg": "DP-FedAvg of branches",
    "dp_fed_avg_adaptive": "DP-FedAvg, adaptive clipping",
    "dp_ftrl": "DP-FTRL of branches",
    "dp_fed_avg_distributed": "DP-FedAvg, distributed noise",
}

_METRICS = {
    "accuracy": mark("Accuracy"),
    "auc": mark("AUC"),
    "average_precision": mark("Average precision"),
    "ks": mark("KS"),
    "gini": mark("Gini"),
    "log_loss": mark("Log loss"),
    "brier": mark("Brier score"),
    "ece": mark("Calibration error"),
    "recall_at_fpr_1": mark("Recall at 1 % false positives"),
    "lift_at_10": mark("Lift in the top 10 %"),
    "bad_rate_at_approval_80": mark("Bad rate if 80 % are approved"),
    "expected_cost": mark("Cost of decisions per applicant"),
    "response_rate_at_10": mark("Response rate in the top 10 %"),
    "capture_at_10": mark("Responses captured in the top 10 %"),
    "capture_at_20": mark("Responses captured in the top 20 %"),
    "profit_at_10": mark("Profit per customer, top 10 % contacted"),
    "recall_at_100_alerts": mark("Recall at 100 alerts a day"),
    "amount_recall_at_100_alerts": mark("Recall by amount at 100 alerts a day"),
    "amount_recall_at_fpr_1": mark("Recall by amount at 1 % false positives"),
    "card_precision_at_100": mark("Card precision at 100 cards a day"),
}

_SCOPES = {
    "own": mark("Own customers"),
    "others": mark("Other banks' customers"),
    "pooled": mark("Whole market"),
}

# Parts of a method's summary, and the scope that each is about.
PARTS = (("own_mean", "own"), ("others_mean", "others"), ("pooled", "pooled"))

_FEATURES = {
    "age": mark("Age"),
    "annual_income": mark("Annual income"),
    "income_volatility": mark("Income volatility"),
    "employment_tenure": mark("Employment tenure"),
    "relationship_tenure": mark("Relationship tenure"),
    "debt_to_income": mark("Debt to income"),
    "credit_utilisation": mark("Credit utilisation"),
    "savings_buffer": mark("Savings buffer"),
    "delinquencies_24m": mark("Delinquencies, 24 months"),
    "inquiries_6m": mark("Inquiries, 6 months"),
    "loan_to_value": mark("Loan to value"),
    "loan_to_value_missing": mark("Loan unsecured"),
    "housing=rent": mark("Housing: rent"),
    "housing=mortgage": mark("Housing: mortgage"),
    "housing=own": mark("Housing: own"),
    "housing=other": mark("Housing: other"),
}

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

_STAGES = {
    "preprocessing": mark("before training"),
    "training": mark("training"),
    "validation": mark("validation"),
    "tuning": mark("choice of settings"),
    "evaluation": mark("evaluation"),
    "unit": mark("whom it is for"),
}

# What records say in English; `%(name)s` stands for a number.
_REMARKS = (
    mark("The table has no rows."),
    mark("All %(rows)s rows are negative."),
    mark("All %(rows)s rows are positive."),
    mark("Positive rows have no amount."),
    mark("not reached in %(missed)s of %(seeds)s seeds"),
    mark("too few test rows for an interval: %(rows)s, %(positives)s positive"),
    mark("one seed gives no interval"),
    mark("no interval over test rows is computed for this value"),
    mark("one seed has no spread"),
    mark("undefined"),
    mark("type signature"),
    mark("encoding"),
    mark("encoded rows, uploaded once"),
    mark("nothing leaves the institution"),
    mark("nothing but the sums that fit the shared encoder"),
    mark("type signature, for each institution, once"),
    mark("type signature; moments and reference table once"),
    mark("type signature, cohorts of the expected size"),
    mark(
        "sums and counts of training rows that fit the shared encoder (exact, for all "
        "methods alike)"
    ),
    mark("counts of training labels, for class weights (exact, for all methods alike)"),
    mark("counts that features are made of (exact, for all methods alike)"),
    mark(
        "each institution's numbers of training, validation and test rows (exact, for "
        "all methods alike)"
    ),
    mark(
        "SHA-256 of each table in the run's record (exact; whoever knows all rows but "
        "one can test for that one)"
    ),
    mark(
        "mean of all encoded training rows, beside the model (exact; scores are "
        "explained against it)"
    ),
    mark(
        "metrics of validation rows, pooled and by institution, beside the model "
        "(exact)"
    ),
    mark(
        "AUC and true positive rates of a membership attack on training rows (exact, "
        "for the comparison)"
    ),
    mark(
        "features made of other rows, which one unit more or less changes (the "
        "guarantee takes them as given)"
    ),
    mark(
        "the settings (whether results on these rows led to them isn't known to this "
        "run)"
    ),
    mark(
        "metrics and score histograms of test rows, mean features of training rows, "
        "share of positive labels in all rows (exact, for the comparison)"
    ),
    mark(
        "each client's number of rows and whether its update was finite, to the "
        "server; their sums to all, round by round (exact; nothing is stopped or "
        "chosen by them)"
    ),
    mark(
        "a customer with rows in several branches, and the bank (each branch is "
        "protected, not all together)"
    ),
    mark(
        "loss, accuracy and, if asked for, AUC on validation rows, round by round "
        "(exact; shown only, nothing is stopped or chosen by them)"
    ),
    mark("a customer with several rows (each row is protected, not all together)"),
)


def method(name: str, words: Words) -> str:
    """A method; its own name if it is not known."""
    return words.say(METHODS.get(name, name))


def algorithm(name: str) -> str:
    """A federated method as sentences have it: the algorithm's proper name."""
    return _ALGORITHMS.get(name, name)


def metric(name: str, words: Words) -> str:
    """A metric; its own name if it is not known."""
    return words.say(_METRICS.get(name, name))


def scope(name: str, words: Words) -> str:
    """A set of test rows: "own", "others" or "pooled"."""
    return words.say(_SCOPES[name])


def feature(name: str, words: Words) -> str:
    """An encoded feature; its own name if it is not known."""
    return words.say(_FEATURES.get(name, name))


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
    if text in METHODS:
        return method(text, words)
    return words.say(_VALUES.get(text, text)) if text else ""


def stage(name: str, words: Words) -> str:
    """A stage of a ledger; its own name if it is not known."""
    return words.say(_STAGES.get(name, name))


def remark(text: str, words: Words) -> str:
    """What a record says in English, such as why a value is undefined."""
    for known in _REMARKS:
        pattern = re.sub(r"%\\\((\w+)\\\)s|%\((\w+)\)s", _group, re.escape(known))
        match = re.fullmatch(pattern, text)
        if match:
            return words.say(known, **match.groupdict())
    return text


def _group(match: re.Match[str]) -> str:
    return rf"(?P<{match[1] or match[2]}>\d+)"
