"""The same metrics by scikit-learn: functions of labels, logits and weights."""

import scipy.special
import sklearn.metrics

SKLEARN = {
    "accuracy": lambda y, z, w: sklearn.metrics.accuracy_score(
        y, z >= 0, sample_weight=w
    ),
    "auc": lambda y, z, w: sklearn.metrics.roc_auc_score(y, z, sample_weight=w),
    "average_precision": lambda y, z, w: sklearn.metrics.average_precision_score(
        y, z, sample_weight=w
    ),
    "log_loss": lambda y, z, w: sklearn.metrics.log_loss(
        y, scipy.special.expit(z), sample_weight=w
    ),
    "brier": lambda y, z, w: sklearn.metrics.brier_score_loss(
        y, scipy.special.expit(z), sample_weight=w
    ),
}
