"""Gaussian noise that nobody can foresee or draw again.

Noise from a seed that others know can be taken off; equal noise at two institutions
or in two rounds cancels in a difference. So seeds come from the operating system
whenever the graph runs, and nothing else enters them.

Beyond this module's reach: floating-point numbers are a grid, on which noise and
signal can leave traces (Mironov, 2012; Holohan and Braghin, 2021,
https://arxiv.org/abs/2107.10138), and TensorFlow's generator, Philox, passes
statistical tests but was not made for cryptography.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

SeedSource = Callable[[], tf.Tensor]
"""Gives a new seed, int64[2], each time that its operations run."""

_LINES = 16  # of 256 bytes in the mean; that they have less than 32 together: 1e-28
_KEYS = ([0x5EED, 1], [0x5EED, 2])
_MOST_INT64 = 2**63 - 1


def system_seed() -> tf.Tensor:
    """A seed from the operating system's generator, int64[2].

    As operations of a graph, so that every run of it gets a new one, in TFF's
    worker too. TensorFlow's own unseeded operations start from 32 random bits of
    their process, which can be searched. They are no source for this.

    Returns:
        126 random bits.
    """
    # A file without an end: datasets read it line by line, `read_file` not at all.
    lines = tf.data.TextLineDataset("/dev/urandom", buffer_size=4096).take(_LINES)
    text = tf.strings.reduce_join(lines.batch(_LINES).get_single_element())
    return tf.stack(
        [tf.strings.to_hash_bucket_strong(text, _MOST_INT64, key=key) for key in _KEYS]
    )


def split(seed: tf.Tensor, number: int) -> list[tf.Tensor]:
    """Independent seeds from one, each int64[2]."""
    # To fold in numbers keeps 64 bits of a seed or, if they are int32, 32.
    return tf.unstack(tf.random.experimental.stateless_split(seed, number))


def standard_normal(seed: tf.Tensor, shape: Sequence[int | tf.Tensor]) -> tf.Tensor:
    """Standard normal numbers.

    Each is a sum of two: TensorFlow's own end at 5.7 standard deviations, so that in
    some step a value beyond would tell a unit's presence for certain; these at 8.

    Args:
        seed: int64[2], used for nothing else.
        shape: Of the result.

    Returns:
        float32[shape].
    """
    pair = tf.random.stateless_normal([2, *shape], seed)
    return (pair[0] + pair[1]) * tf.constant(0.5**0.5)
