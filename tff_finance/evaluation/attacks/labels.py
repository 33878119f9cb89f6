"""How many rows of a batch have label 1, from the last bias's update."""

import numpy as np
from numpy.typing import NDArray


def recovered_labels(
    last_bias_gradient: float, *, rows: int, mean_probability: float
) -> NDArray[np.float32]:
    """Labels of a batch, those of 1 first; their order is the attacker's to choose.

    The gradient of the mean loss by the last bias is the mean of p - y, so that the
    number of positives is `rows * (mean p - gradient)`. Of one row the sign alone
    decides. As in iDLG, Zhao et al. (2020), https://arxiv.org/abs/2001.02610.

    Args:
        last_bias_gradient: Of the mean loss.
        rows: Of the batch.
        mean_probability: What the model is expected to say in the mean, 0 to 1.

    Returns:
        float32[rows].
    """
    if rows == 1:
        positives = int(last_bias_gradient < 0)
    else:
        expected = rows * (mean_probability - last_bias_gradient)
        positives = int(np.clip(np.round(expected), 0, rows))
    return (np.arange(rows) < positives).astype(np.float32)
