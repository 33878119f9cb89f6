"""What a training loop asks of its rounds: clients' data, and the time on a clock."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tff_finance.training.cohorts import ClientDataOfRound
from tff_finance.training.progress import ModelWeights
from tff_finance.training.simulated_clock import Site, SynchronousClock

CurrentWeights = Callable[[], ModelWeights]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoundTiming:
    """What a simulated clock says of a round; None where there is no clock.

    Attributes:
        simulated_seconds: When the round ends.
        mean_staleness: Of its updates, in rounds of the server.
        late_updates: Updates since the round before that were too stale.
        lost_updates: Local rounds since then that outages broke off.
    """

    simulated_seconds: float | None = None
    mean_staleness: float | None = None
    late_updates: int | None = None
    lost_updates: int | None = None


class Rounds(abc.ABC):
    """The rounds of a training run. Numbers count from 0.

    Attributes:
        sampled: Whether a round may be without most institutions, so that nobody's
            update counting says nothing about training as a whole.
        stale: Whether updates may have begun before the round that they are computed
            in, from weights of then, but with the client's settings of now.
    """

    sampled: bool = True
    stale: bool = False

    def timing(self, number: int) -> RoundTiming:
        """When a round ends; may be asked before the round is run."""
        del number
        return RoundTiming()

    @abc.abstractmethod
    def client_data(
        self, number: int, weights: CurrentWeights
    ) -> Sequence[tf.data.Dataset]:
        """The datasets of a round's clients.

        Args:
            number: Of the round; each is asked for once, in order.
            weights: Gives the weights that the round begins with.
        """

    def kept(self) -> Any:
        """What rounds to come need of those before, as nested arrays."""
        return ()

    def go_on(self, number: int, kept: Any) -> None:
        """Goes on where a run was.

        Args:
            number: Of the next round.
            kept: What `kept` gave before it; as at a run's beginning if it is 0.
        """
        del number, kept


class UntimedRounds(Rounds):
    """Rounds without a clock."""

    def __init__(self, data: Sequence[tf.data.Dataset] | ClientDataOfRound) -> None:
        """Takes the same data for every round, or those of a round by its number."""
        self._data = data
        self.sampled = callable(data)

    def client_data(
        self, number: int, weights: CurrentWeights
    ) -> Sequence[tf.data.Dataset]:
        """As in `Rounds`."""
        del weights
        return self._data(number) if callable(self._data) else self._data


class SynchronousRounds(UntimedRounds):
    """Rounds that wait for every institution, on a simulated clock."""

    def __init__(self, data: Sequence[tf.data.Dataset], sites: Sequence[Site]) -> None:
        """Takes a dataset and a site for each institution."""
        super().__init__(data)
        self._clock = SynchronousClock(sites)
        self._timings: list[RoundTiming] = []

    def timing(self, number: int) -> RoundTiming:
        """As in `Rounds`."""
        while len(self._timings) <= number:
            simulated = self._clock.next_round()
            self._timings.append(
                RoundTiming(
                    simulated_seconds=simulated.seconds,
                    mean_staleness=0.0,
                    late_updates=0,
                    lost_updates=simulated.lost,
                )
            )
        return self._timings[number]


def rounds_of(
    data: Rounds | Sequence[tf.data.Dataset] | ClientDataOfRound,
) -> Rounds:
    """Rounds as they are, or data as rounds without a clock."""
    return data if isinstance(data, Rounds) else UntimedRounds(data)
