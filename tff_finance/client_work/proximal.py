"""The proximal term of FedProx as a local rule.

Each institution minimises `f_i(w) + mu / 2 * |w - theta|^2`, `theta` being where the
round began, so that local epochs on unlike tables don't drift far from it.

Source: Li et al. (2020), Algorithm 2, https://arxiv.org/abs/1812.06127.
"""

from tff_finance import checks
from tff_finance.client_work.gradient_estimator import Weights
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.institutions.state import State


class Proximal(LocalRule):
    """Adds `mu * (w - theta)` to each gradient."""

    def __init__(self, mu: float) -> None:
        """Takes the strength of the pull; 0 leaves the gradients as they are.

        Args:
            mu: At least 0. A step of the learning rate `eta` is stable for
                `eta * mu < 2` only.
        """
        checks.check_at_least("mu", mu, 0)
        self._mu = mu

    def correct(
        self,
        gradient: Weights,
        *,
        weights: Weights,
        global_weights: Weights,
        state: State,
        shared: State,
    ) -> Weights:
        """The gradient of loss and proximal term."""
        del state, shared
        if not self._mu:  # to the last bit what there is without the rule
            return gradient
        return tuple(
            g + self._mu * (w - start)
            for g, w, start in zip(gradient, weights, global_weights, strict=True)
        )
