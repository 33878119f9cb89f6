"""Tracing TFF's secure sums without TensorFlow's alarm about an assertion of theirs.

TFF's quantization before a secure sum asserts that its lower bound isn't above its
upper one, and uses the assertion nowhere, so that TensorFlow logs an error with a stack
trace for every sum that is traced. Bounds here are constants that are checked before.
"""

import contextlib
import logging
import traceback
from collections.abc import Iterator

import tensorflow as tf

_ALARM = "Object was never used"
_WHERE = "_client_tensor_shift_for_secure_sum"


@contextlib.contextmanager
def without_its_alarm() -> Iterator[None]:
    """Leaves that one record out of TensorFlow's log until the block ends.

    For the creation of aggregation processes with `tff.aggregators.SecureSumFactory`
    whose bounds are checked constants. All else is logged as ever.
    """
    logger = tf.get_logger()
    known = _Known()
    logger.addFilter(known)
    try:
        yield
    finally:
        logger.removeFilter(known)


class _Known(logging.Filter):
    """Knows the record by TFF's function, which drops the assertion and so logs it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (_ALARM in record.getMessage() and _is_called_by(_WHERE))


def _is_called_by(function: str) -> bool:
    # Its text has TensorFlow's five innermost frames only, none of TFF's.
    return any(
        frame.f_code.co_name == function for frame, _ in traceback.walk_stack(None)
    )
