"""Asynchronous rounds: each is a buffer of updates that arrived on a simulated clock.

An update is computed in the round that it arrives in, from the weights that its
institution started from. These are kept as long as an update from them is to come,
and saved with every checkpoint; the clock itself is run again.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tff_finance.client_work.arrivals import ArrivalStore
from tff_finance.training.rounds import CurrentWeights, Rounds, RoundTiming
from tff_finance.training.simulated_clock import AsynchronousClock, Flush

Trainable = tuple[Any, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Moment:
    """The clock when a buffer had just been emptied; at first, before that."""

    number: int
    flush: Flush | None
    versions_in_use: tuple[int, ...]


class AsynchronousRounds(Rounds):
    """The rounds of `algorithms.fed_buff`: one for each emptying of the buffer."""

    stale = True

    def __init__(
        self,
        store: ArrivalStore,
        data: Sequence[tf.data.Dataset],
        build_clock: Callable[[], AsynchronousClock],
    ) -> None:
        """Begins at 0 seconds.

        Args:
            store: That the process was built for, and made the data.
            data: The rows of each institution, in the order of the clock's sites.
            build_clock: The same clock every time, at its beginning.
        """
        self._store = store
        self._data = tuple(data)
        self._build_clock = build_clock
        self.go_on(0, None)

    def timing(self, number: int) -> RoundTiming:
        """As in `Rounds`, of the next round."""
        flush = self._flush(number)
        return RoundTiming(
            simulated_seconds=flush.seconds,
            mean_staleness=float(np.mean([a.staleness for a in flush.arrivals])),
            late_updates=len(flush.late),
            lost_updates=flush.lost,
        )

    def client_data(
        self, number: int, weights: CurrentWeights
    ) -> Sequence[tf.data.Dataset]:
        """As in `Rounds`."""
        flush = self._flush(number)
        self._versions[number] = tuple(weights().trainable)
        datasets = [
            self._store.arrival(
                self._data[arrival.site],
                start_weights=self._versions[arrival.version],
                staleness=arrival.staleness,
                local_round=arrival.local_round,
            )
            for arrival in flush.arrivals
        ]
        in_use = self._moment.versions_in_use
        self._versions = {version: self._versions[version] for version in in_use}
        return datasets

    def kept(self) -> tuple[np.ndarray, Trainable]:
        """Numbers of versions, int64[v], and their weights, float32[v, ...] each."""
        versions = list(self._versions.values())
        return np.array(list(self._versions), np.int64), tuple(
            np.array([version[leaf] for version in versions], np.float32).reshape(
                -1, *spec.shape
            )
            for leaf, spec in enumerate(self._store.trainable_spec)
        )

    def go_on(self, number: int, kept: Any) -> None:
        """As in `Rounds`."""
        self._clock = self._build_clock()
        self._moment = _Moment(number=-1, flush=None, versions_in_use=())
        self._versions: dict[int, Trainable] = {}
        if not number:
            return
        self._flush(number - 1)
        versions, leaves = kept
        for row, version in enumerate(versions.tolist()):
            self._versions[version] = tuple(leaf[row] for leaf in leaves)

    def _flush(self, number: int) -> Flush:
        while self._moment.number < number:
            flush = self._clock.next_flush()
            self._moment = _Moment(
                number=self._moment.number + 1,
                flush=flush,
                versions_in_use=tuple(self._clock.versions_in_use),
            )
        if self._moment.flush is None or self._moment.number != number:
            raise ValueError(
                f"`number` must be that of the next round, got {number} after "
                f"{self._moment.number}."
            )
        return self._moment.flush
