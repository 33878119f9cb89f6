"""Update rules: what an institution makes of its update before it leaves.

The seam for compression that remembers what it left out. A rule gets the update of a
round and may keep state at the institution, beside that of the local rule, which is
about the steps before.
"""

from tff_finance.client_work.gradient_estimator import Weights
from tff_finance.institutions.state import State, StateSpec


class UpdateRule:
    """Sends the update as it is; nothing kept. Base of all rules."""

    def state_spec(self, trainable_spec: StateSpec) -> StateSpec:
        """Shapes and types of the institution state; empty for none.

        Args:
            trainable_spec: Of the model's trainable weights.

        Returns:
            Specs of float32 tensors.
        """
        del trainable_spec
        return ()

    def send(self, update: Weights, *, state: State) -> tuple[Weights, State]:
        """What leaves the institution, and what it keeps for its next round.

        Where the institution has no rows, or where anything here is not finite, the
        update counts as it is and the institution keeps `state` instead.

        Args:
            update: Initial minus final weights of the round.
            state: As read before the round.

        Returns:
            One tensor per trainable weight, and tensors as `state_spec` has them.
        """
        return update, state
