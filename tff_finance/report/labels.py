"""Names for readers: of methods, metrics, features and reasons."""

import re

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
