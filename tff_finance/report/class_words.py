"""What a page calls the two classes: in the case study customers default, or don't.

The label of a real table may mean anything, so its rows are positive or negative;
`real_findings.data_finding` says what positive means.
"""

import dataclasses

from tff_finance.report.catalogue import mark
from tff_finance.report.content import Study


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassWords:
    """English texts that name rows or their classes, for `Words.say`.

    Attributes:
        positive: Legend of rows of label 1.
        negative: Legend of rows of label 0.
        training: Axis of the number of training rows.
        rate: Share of label 1, as a column.
        rate_percent: The same as an axis.
        banks: Heading and caption of the banks' sizes and shares.
        banks_title: Title of the figure of sizes and shares.
        banks_alt: Its description, of `c`.
        banks_differ: How banks can differ.
        recall: Axis.
        precision: Axis.
        false_alarms: Axis.
        predicted: Axis.
        observed: Axis.
        curves: How curves are to be read.
        at_bank: Title of a figure of a `bank`.
        distributions: How distributions are to be read.
        distribution_rows: What distributions are of.
        distribution_alt: Of a `model`, those `found` and the `alarms`.
    """

    positive: str
    negative: str
    training: str
    rate: str
    rate_percent: str
    banks: str
    banks_title: str
    banks_alt: str
    banks_differ: str
    recall: str
    precision: str
    false_alarms: str
    predicted: str
    observed: str
    curves: str
    at_bank: str
    distributions: str
    distribution_rows: str
    distribution_alt: str


_DEFAULTS = ClassWords(
    positive=mark("defaulted"),
    negative=mark("did not default"),
    training=mark("Training customers"),
    rate=mark("Default rate"),
    rate_percent=mark("Default rate, %"),
    banks=mark("Banks and their customers"),
    banks_title=mark("Training customers, and share who default"),
    banks_alt=mark("Training customers and default rate by bank. %(c)s."),
    banks_differ=mark(
        "Joint training can pay where banks know different things. Banks "
        "differ in how many labelled customers they have, in how many of these "
        "default, and in what their customers are like."
    ),
    recall=mark("Recall: share of defaulters found, %"),
    precision=mark("Precision: share of those flagged who default, %"),
    false_alarms=mark("False alarms: share of good customers flagged, %"),
    predicted=mark("Predicted probability of default, %"),
    observed=mark("Observed default rate, %"),
    curves=mark(
        "First, how many defaulters are found at the price of how many "
        "false alarms (the closer to the upper left corner, the better); "
        "second, how many of those flagged do default; third, whether "
        "customers said to default with 30 % probability do so in 30 of 100 "
        "cases (the closer to the diagonal, the better)."
    ),
    at_bank=mark("Customers of %(bank)s"),
    distributions=mark(
        "What each model says about the same customers. Right of the dotted "
        "line it expects a default. The farther apart those who defaulted and "
        "those who did not, the better; where they overlap, or lie on the "
        "wrong side, mistakes are made."
    ),
    distribution_rows=mark(
        "Test customers of all seeds. Probabilities are drawn on the scale of log "
        "odds, so that 1 % and 10 % lie as far apart as 90 % and 99 %; scores "
        "beyond the scale stand at its ends."
    ),
    distribution_alt=mark(
        "%(model)s: %(found)s of those who defaulted and %(alarms)s of the others "
        "score above 50 %%"
    ),
)

_POSITIVES = ClassWords(
    positive=mark("positive rows"),
    negative=mark("negative rows"),
    training=mark("Training rows"),
    rate=mark("Share of positive rows"),
    rate_percent=mark("Share of positive rows, %"),
    banks=mark("Banks and their rows"),
    banks_title=mark("Training rows, and share that is positive"),
    banks_alt=mark("Training rows and share of positive rows by bank. %(c)s."),
    banks_differ=mark(
        "Joint training can pay where banks know different things. Banks "
        "differ in how many labelled rows they have, in how many of these are "
        "positive, and in what their rows are like."
    ),
    recall=mark("Recall: share of positive rows found, %"),
    precision=mark("Precision: share of flagged rows that are positive, %"),
    false_alarms=mark("False alarms: share of negative rows flagged, %"),
    predicted=mark("Predicted probability of a positive row, %"),
    observed=mark("Observed share of positive rows, %"),
    curves=mark(
        "First, how many positive rows are found at the price of how many "
        "false alarms (the closer to the upper left corner, the better); "
        "second, how many of the flagged rows are positive; third, whether "
        "rows said to be positive with 30 % probability are so in 30 of 100 "
        "cases (the closer to the diagonal, the better)."
    ),
    at_bank=mark("Test rows of %(bank)s"),
    distributions=mark(
        "What each model says about the same rows. Right of the dotted line it "
        "takes a row for positive. The farther apart positive and negative rows, "
        "the better; where they overlap, or lie on the wrong side, mistakes are "
        "made."
    ),
    distribution_rows=mark(
        "Test rows of all seeds. Probabilities are drawn on the scale of log "
        "odds, so that 1 % and 10 % lie as far apart as 90 % and 99 %; scores "
        "beyond the scale stand at its ends."
    ),
    distribution_alt=mark(
        "%(model)s: %(found)s of the positive rows and %(alarms)s of the negative "
        "ones score above 50 %%"
    ),
)


def class_words(study: Study) -> ClassWords:
    """What a study's page calls the classes."""
    return _POSITIVES if study.is_of_real_tables else _DEFAULTS
