"""Why a training ended, as records have it."""

_AT_MOST = "max_"


def at_maximum(stopped_by: str) -> bool:
    """Whether it was still improving when rounds or simulated time were up.

    Args:
        stopped_by: Of a run or coalition.

    Returns:
        True for "max_rounds" and "max_simulated_seconds".
    """
    return stopped_by.startswith(_AT_MOST)
