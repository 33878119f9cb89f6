"""Sums over sliding time windows within groups, exact and without a loop over rows."""

import numpy as np

SECONDS_PER_DAY = 86_400


class EventWindows:
    """Events of groups in time, of which any window's count and sum can be asked.

    Attributes:
        size: Number of events.
    """

    def __init__(
        self, groups: np.ndarray, times: np.ndarray, values: np.ndarray
    ) -> None:
        """Sorts the events.

        Args:
            groups: int64[events], such as customers; at least 0.
            times: int64[events], seconds or another whole unit; any order.
            values: int64[events, k]: what is summed, k sums at once.
        """
        self.size = len(groups)
        # One key for group and time; queries stay within what int64 holds.
        self._first = int(times.min(initial=0))
        self._span = int(times.max(initial=0)) - self._first + 2
        self._groups = groups
        keys = self._keys(groups, times)
        self.order = np.argsort(keys, kind="stable")
        self._sorted_keys = keys[self.order]
        zero = np.zeros((1, values.shape[1]), np.int64)
        self._sums = np.concatenate([zero, np.cumsum(values[self.order], axis=0)])

    def until(self, groups: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Sums over a group's events up to and with a time.

        Args:
            groups: int64[queries].
            times: int64[queries], one for each group; events needn't exist there.

        Returns:
            int64[queries, k], summed since the beginning of all groups: only the
            difference between two times of one group means something.
        """
        keys = self._keys(groups, times)
        order = np.argsort(keys, kind="stable")  # neighbours are found fast
        places = np.empty(len(keys), np.int64)
        places[order] = np.searchsorted(self._sorted_keys, keys[order], side="right")
        return self._sums[places]

    def until_each(self) -> np.ndarray:
        """Sums up to and with each event; see `until`.

        Returns:
            int64[events, k]. Events of one group at the same time come one after the
            other, in the order in which they were given.
        """
        sums = np.empty((self.size, self._sums.shape[1]), np.int64)
        sums[self.order] = self._sums[1:]
        return sums

    def _keys(self, groups: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Times before the first event come before all events of the group."""
        offsets = np.clip(times - self._first + 1, 0, self._span - 1)
        return groups.astype(np.int64) * self._span + offsets
