"""TFF's own quantized sum, as it is.

`tff.learning.compression_aggregator` is this with 8 bits, adaptive zeroing and
clipping, and leaves tensors of 20,000 coordinates or fewer as they are: models of
tables have none larger, so nothing of them would be compressed.
"""

import tensorflow_federated as tff

from tff_finance import checks

BITS = 8
"""As in `tff.learning.compression_aggregator`."""


def build_tff_quantized_mean(
    bits: int = BITS,
) -> tff.aggregators.WeightedAggregationFactory:
    """Builds the weighted mean of updates that TFF quantizes.

    Coordinates go to the nearest level, not to one at random: TFF's draws are others
    whenever a round is repeated, so that no run could be.

    Args:
        bits: Of each coordinate, 1 to 16.

    Returns:
        The factory. For each tensor a client sends least and greatest coordinate,
        float32, and levels in words of 32 bits of which 28 are used.
    """
    checks.check_in_range("bits", bits, 1, 16)
    return tff.aggregators.MeanFactory(
        tff.aggregators.EncodedSumFactory.quantize_above_threshold(
            quantization_bits=bits, threshold=0, stochastic=False
        )
    )
