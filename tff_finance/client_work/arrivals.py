"""Arrivals: institutions that trained from weights older than the server's.

Where institutions finish at different times, an update that reaches the server
started from weights of some rounds ago. A client's element then has, beside the
institution's rows, these weights and what else the update depends on, so that the
round in which it arrives can be computed from the element alone.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.client_work import process
from tff_finance.client_work import weights as weights_lib
from tff_finance.institutions.examples import Examples, ExampleStore, InMemory

_START = "start_weights"
_STALENESS = "staleness"
_LOCAL_ROUND = "local_round"


class ArrivalStore:
    """Elements of arrivals; an `ExampleStore` around another one.

    Attributes:
        grouped: False, since every arrival has a start of its own.
        trainable_spec: Of the weights that arrivals bring.
    """

    grouped = False

    def __init__(
        self,
        model: tff.learning.models.FunctionalModel,
        store: ExampleStore | None = None,
    ) -> None:
        """Takes the model whose weights arrivals bring.

        Args:
            model: Gives their type.
            store: How clients get at their rows; defaults to `InMemory`.

        Raises:
            ValueError: If `store` groups institutions.
        """
        self._rows = store or InMemory()
        if self._rows.grouped:
            raise ValueError(
                "`store` can't group institutions here: each of them starts from "
                "weights of its own."
            )
        self.trainable_spec = weights_lib.trainable_spec(model)
        self._trainable = weights_lib.weights_type(model).trainable

    def element_type(self, num_features: int) -> tff.Type:
        """The rows' element with three members more.

        Args:
            num_features: Width of the table.

        Returns:
            The type of `store`'s element, with `start_weights` of the type of the
            trainable weights, `staleness=int32` and `local_round=int32`.
        """
        return tff.to_type(
            collections.OrderedDict(
                tff.structure.iter_elements(self._rows.element_type(num_features)),
                **{_START: self._trainable, _STALENESS: np.int32},
                **{_LOCAL_ROUND: np.int32},
            )
        )

    def client_dataset(self, examples: Examples) -> tf.data.Dataset:
        """An institution's rows alone, which `arrival` completes."""
        return self._rows.client_dataset(examples)

    def arrival(
        self,
        rows: tf.data.Dataset,
        *,
        start_weights: Sequence[Any],
        staleness: int,
        local_round: int,
    ) -> tf.data.Dataset:
        """A client's dataset for the round in which its update arrives.

        Args:
            rows: Of `client_dataset`. It must live as long as the arrival.
            start_weights: Trainable weights that the institution trained from.
            staleness: Rounds of the server since it got them.
            local_round: Which of its own rounds it is, counted from 0. Seeds the
                order of its batches, so that two updates from the same weights
                aren't the same update.

        Returns:
            A dataset of one element, of `element_type`.

        Raises:
            ValueError: If a number is negative.
        """
        checks.check_at_least(_STALENESS, staleness, 0)
        checks.check_at_least(_LOCAL_ROUND, local_round, 0)
        element = collections.OrderedDict(rows.get_single_element())
        element[_START] = tuple(tf.convert_to_tensor(w) for w in start_weights)
        element[_STALENESS] = tf.constant(staleness, tf.int32)
        element[_LOCAL_ROUND] = tf.constant(local_round, tf.int32)
        return tf.data.Dataset.from_tensors(element)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StalenessWeighting:
    """How much an update counts by its staleness: `(1 + staleness)^-exponent`.

    Attributes:
        exponent: 0.5 as published; 0 for no difference; at least -1, by which an
            update counts for all rounds of the server that it took.
    """

    exponent: float = 0.5

    def __post_init__(self) -> None:
        """Refuses what would count a slow institution for more than its rows."""
        checks.check_at_least("exponent", self.exponent, -1)

    def factor(self, staleness: tf.Tensor) -> tf.Tensor:
        """What an update of this staleness, int32[], is multiplied by, float32[]."""
        return (1.0 + tf.cast(staleness, tf.float32)) ** -self.exponent

    def around(
        self, update_institution: process.UpdateInstitution
    ) -> process.UpdateInstitution:
        """Client work for elements of `ArrivalStore`.

        Args:
            update_institution: Trains from the weights that it is given. It is
                given the element's, with its local round for the server's round.

        Returns:
            The same with the update multiplied by its factor. The weight among the
            institutions stays, so that a stale update is not made up for by the
            others.
        """

        def update_arrival(
            server_state: Any, weights: Any, element: Any
        ) -> tuple[process.ClientResult, process.Sums]:
            started = tff.learning.models.ModelWeights(
                tuple(element[_START]), weights.non_trainable
            )
            state = collections.OrderedDict(server_state, round=element[_LOCAL_ROUND])
            result, sums = update_institution(state, started, element)
            factor = self.factor(element[_STALENESS])
            update = tf.nest.map_structure(lambda u: u * factor, result.update)
            return process.ClientResult(update, result.update_weight), sums

        return update_arrival
