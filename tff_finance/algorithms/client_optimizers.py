"""Local optimizers by the names of the server's: TFF's own, as centralized ones are.

Fresh in every round, so that bias correction (Adam, Yogi) matters here; the server's
in `server_optimizers` have none, as published.
"""

import functools

import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.records.training_config import OPTIMIZERS

_MOMENTUM = 0.9

_BUILDERS = {
    "sgd": tff.learning.optimizers.build_sgdm,
    "momentum": functools.partial(
        tff.learning.optimizers.build_sgdm, momentum=_MOMENTUM
    ),
    "adagrad": tff.learning.optimizers.build_adagrad,
    "adam": tff.learning.optimizers.build_adam,
    "yogi": tff.learning.optimizers.build_yogi,
}


def build_client_optimizer(
    name: str, learning_rate: float
) -> tff.learning.optimizers.Optimizer:
    """Builds a local optimizer with TFF's other settings; momentum has 0.9.

    Args:
        name: "sgd", "momentum", "adagrad", "adam" or "yogi".
        learning_rate: A hyperparameter of the client work.

    Returns:
        The optimizer.

    Raises:
        ValueError: If there is no optimizer of the name, or the rate isn't positive.
    """
    checks.check_one_of("name", name, OPTIMIZERS)
    checks.check_positive("learning_rate", learning_rate)
    return _BUILDERS[name](learning_rate)
