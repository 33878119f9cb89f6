"""Small whole numbers as bytes: b bits for each, none in between.

The bits of a number go from the lowest to the highest, and so do those of a byte:
what `numpy.packbits(..., bitorder="little")` makes of the same bits.
"""

import tensorflow as tf

_BYTE = 8


def packed_bytes(number: int, bits: int) -> int:
    """Bytes that so many values of so many bits take."""
    return -(-number * bits // _BYTE)


def pack(values: tf.Tensor, bits: int) -> tf.Tensor:
    """Packs values.

    Args:
        values: From 0 to `2**bits - 1`, int32[n].
        bits: Of each, 1 to 31.

    Returns:
        uint8[packed_bytes(n, bits)]; the last bits may be padding, 0.
    """
    number = int(values.shape[0])
    # int32, for which TensorFlow has all operations everywhere.
    flags = tf.reshape(_bits(values[:, tf.newaxis], bits), [-1])
    size = packed_bytes(number, bits)
    padded = tf.pad(flags, [[0, size * _BYTE - number * bits]])
    return tf.cast(_numbers(tf.reshape(padded, [size, _BYTE])), tf.uint8)


def unpack(packed: tf.Tensor, bits: int, *, number: int) -> tf.Tensor:
    """Unpacks what `pack` made.

    Args:
        packed: uint8[packed_bytes(number, bits)].
        bits: Of each value.
        number: Of values, n.

    Returns:
        The values, int32[n].
    """
    flags = tf.reshape(_bits(tf.cast(packed, tf.int32)[:, tf.newaxis], _BYTE), [-1])
    return _numbers(tf.reshape(flags[: number * bits], [number, bits]))


def _bits(values: tf.Tensor, bits: int) -> tf.Tensor:
    """The bits of int32[n, 1], lowest first, int32[n, bits]."""
    return tf.bitwise.bitwise_and(tf.bitwise.right_shift(values, tf.range(bits)), 1)


def _numbers(flags: tf.Tensor) -> tf.Tensor:
    """From bits, lowest first, int32[n, bits], to int32[n]."""
    places = tf.bitwise.left_shift(1, tf.range(flags.shape[1]))
    return tf.reduce_sum(flags * places, axis=1)
