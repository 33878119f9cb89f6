"""Server optimizers by name: FedAvgM, FedAdagrad, FedAdam and FedYogi.

The server takes the mean delta `Delta_t` of a round as a step direction:

    momentum   a_t = momentum a_{t-1} + Delta_t,  x_{t+1} = x_t + eta a_t
    the others m_t = beta_1 m_{t-1} + (1 - beta_1) Delta_t
               x_{t+1} = x_t + eta m_t / (sqrt(v_t) + tau),   v_{-1} = tau^2
    adagrad    v_t = v_{t-1} + Delta_t^2,   beta_1 = 0
    adam       v_t = beta_2 v_{t-1} + (1 - beta_2) Delta_t^2
    yogi       v_t = v_{t-1} - (1 - beta_2) Delta_t^2 sign(v_{t-1} - Delta_t^2)

`tff.learning.optimizers` has others by these names: its Adam and Yogi correct the
bias of first rounds, its Adagrad has epsilon inside the root. The paper doesn't; tau
bounds a weight's first steps instead.

Source: Reddi et al. (2021), Algorithm 2, https://arxiv.org/abs/2003.00295;
FedAvgM: Hsu et al. (2019), https://arxiv.org/abs/1909.06335.
"""

import collections
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.records.training_config import OPTIMIZERS

DEFAULT_LEARNING_RATES = {
    "sgd": 1.0,
    "momentum": 0.1,
    "adagrad": 0.1,
    "adam": 0.03,
    "yogi": 0.03,
}
"""By optimizer. Under a constant delta, momentum goes as far as sgd."""

_SecondMoment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def build_server_optimizer(
    name: str,
    learning_rate: float | None = None,
    *,
    momentum: float = 0.9,
    beta_1: float | None = None,
    beta_2: float = 0.99,
    tau: float = 1e-3,
) -> tff.learning.optimizers.Optimizer:
    """Builds a server optimizer, for any algorithm's `server_optimizer`.

    Args:
        name: "sgd", "momentum", "adagrad", "adam" or "yogi".
        learning_rate: `eta`; None for `DEFAULT_LEARNING_RATES`. A hyperparameter of
            the process's finalizer, with `beta_1`, `beta_2` and `tau` or `momentum`.
        momentum: Of "momentum".
        beta_1: Of the adaptive ones: decay of past deltas; defaults to 0.9, of
            "adagrad" to 0.
        beta_2: Of "adam" and "yogi": decay of past squares.
        tau: Of the adaptive ones: how adaptive, smaller is more; also the root of
            the first `v`.

    Returns:
        The optimizer. Its `next` takes `-Delta_t` as the gradient.

    Raises:
        ValueError: If there is no optimizer of the name, or if a number is out of
            its range.
    """
    checks.check_one_of("name", name, OPTIMIZERS)
    if learning_rate is None:
        learning_rate = DEFAULT_LEARNING_RATES[name]
    checks.check_positive("learning_rate", learning_rate)
    if name == "sgd":
        return tff.learning.optimizers.build_sgdm(learning_rate)
    if name == "momentum":
        _check_decay("momentum", momentum)
        return tff.learning.optimizers.build_sgdm(learning_rate, momentum)
    if beta_1 is None:
        beta_1 = 0.0 if name == "adagrad" else 0.9
    _check_decay("beta_1", beta_1)
    _check_decay("beta_2", beta_2)
    checks.check_positive("tau", tau)
    return _Adaptive(
        _SECOND_MOMENTS[name],
        collections.OrderedDict(
            learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2, tau=tau
        ),
    )


def _check_decay(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"`{name}` must be at least 0 and below 1, got {value!r}.")


def _adagrad(v: tf.Tensor, square: tf.Tensor, beta_2: tf.Tensor) -> tf.Tensor:
    del beta_2
    return v + square


def _adam(v: tf.Tensor, square: tf.Tensor, beta_2: tf.Tensor) -> tf.Tensor:
    return beta_2 * v + (1 - beta_2) * square


def _yogi(v: tf.Tensor, square: tf.Tensor, beta_2: tf.Tensor) -> tf.Tensor:
    return v - (1 - beta_2) * square * tf.sign(v - square)


_SECOND_MOMENTS: dict[str, _SecondMoment] = {
    "adagrad": _adagrad,
    "adam": _adam,
    "yogi": _yogi,
}


class _Adaptive(tff.learning.optimizers.Optimizer):
    """The paper's Algorithm 2; the state is its settings, `m` and `v`."""

    def __init__(
        self, second_moment: _SecondMoment, settings: collections.OrderedDict[str, Any]
    ) -> None:
        self._second_moment = second_moment
        self._settings = settings

    def initialize(self, specs: Any) -> collections.OrderedDict[str, Any]:
        """The state before the first round."""
        first = self._settings["tau"] ** 2
        return collections.OrderedDict(
            self._settings,
            m=tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), specs),
            v=tf.nest.map_structure(
                lambda s: tf.fill(s.shape, tf.cast(first, s.dtype)), specs
            ),
        )

    def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
        """One step along minus the gradients."""
        rate, beta_1, beta_2, tau = (state[name] for name in self._settings)
        m = tf.nest.map_structure(
            lambda m, g: beta_1 * m + (1 - beta_1) * g, state["m"], gradients
        )
        v = tf.nest.map_structure(
            lambda v, g: self._second_moment(v, tf.square(g), beta_2),
            state["v"],
            gradients,
        )
        moved = tf.nest.map_structure(
            lambda w, m, v: w - rate * m / (tf.sqrt(v) + tau), weights, m, v
        )
        return collections.OrderedDict(state, m=m, v=v), moved

    def get_hparams(self, state: Any) -> collections.OrderedDict[str, Any]:
        """The settings."""
        return collections.OrderedDict((name, state[name]) for name in self._settings)

    def set_hparams(self, state: Any, hparams: Any) -> Any:
        """The state with other settings."""
        return collections.OrderedDict(state, **hparams)
