"""The Fraud Detection Handbook's home regions and its split by weeks.

Source: Le Borgne et al. (2022), chapter 3, "Transaction data simulator" and "Baseline
fraud detection system", and chapter 5, "Validation strategies".
"""

import dataclasses
import datetime

import numpy as np
import pandas as pd

from tff_finance import checks
from tff_finance.datasets.terminal_counts import LABEL_DELAY_DAYS

DAY_COLUMN = "TX_TIME_DAYS"
CUSTOMERS = 5_000
TERMINALS = 10_000
REGIONS = 5
_MAP_WIDTH = 100.0
_DRAWS_PER_CUSTOMER = 4  # x, y, mean amount, payments a day
BOOK_TRAIN_START = datetime.date(2018, 7, 25)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeekSplit:
    """Payments of three periods, one after the other.

    Attributes:
        train: Payments to learn from.
        delay: Payments after them whose labels aren't known yet at the time of the
            test; nothing learns from them.
        test: Payments to judge by, without cards known as compromised.
    """

    train: pd.DataFrame
    delay: pd.DataFrame
    test: pd.DataFrame


def customer_positions() -> np.ndarray:
    """Draws where the customers live, as the simulator does with its seed 0.

    Returns:
        float64[5000, 2]: x and y on a map of 100 x 100. NumPy keeps this old stream
        of random numbers as it is.
    """
    generator = np.random.RandomState(0)
    draws = generator.uniform(size=(CUSTOMERS, _DRAWS_PER_CUSTOMER))
    return _MAP_WIDTH * draws[:, :2]


def home_regions(customers: pd.Series) -> pd.Series:
    """The region of each card's holder: five vertical bands of the map.

    It stands for the bank that issued the card.

    Args:
        customers: CUSTOMER_ID, 0 to 4999.

    Returns:
        `home_region`, "region_1" (x from 0 to below 20) to "region_5", with the
        index of `customers`.

    Raises:
        ValueError: If a customer isn't one of the simulator's.
    """
    numbers = customers.to_numpy(np.int64)
    if numbers.size:
        checks.check_in_range("CUSTOMER_ID", int(numbers.min()), 0, CUSTOMERS - 1)
        checks.check_in_range("CUSTOMER_ID", int(numbers.max()), 0, CUSTOMERS - 1)
    bands = (customer_positions()[:, 0] // (_MAP_WIDTH / REGIONS)).astype(np.int64)
    names = np.array([f"region_{band + 1}" for band in range(REGIONS)])
    return pd.Series(names[bands[numbers]], index=customers.index, name="home_region")


def blocked_payments(
    payments: pd.DataFrame,
    days: np.ndarray,
    *,
    since: int,
    delay_days: int = LABEL_DELAY_DAYS,
) -> np.ndarray:
    """Which payments wouldn't be, since their card is known as compromised by then.

    A card is known from the day on that is more than a label delay after its fraud.
    Payments of such cards are no test of a model: anybody would refuse them.

    Args:
        payments: Columns CUSTOMER_ID, TX_FRAUD; with all frauds since that day.
        days: Number of each payment's day, integer[n].
        since: Day from which on frauds count.
        delay_days: Days until labels are known.

    Returns:
        bool[n].
    """
    counts = (payments["TX_FRAUD"].to_numpy() == 1) & (days >= since)
    frauds = pd.Series(days[counts]).groupby(payments["CUSTOMER_ID"].to_numpy()[counts])
    first = payments["CUSTOMER_ID"].map(frauds.min()).to_numpy(np.float64)
    return days > first + delay_days  # never where there was none: NaN


def split_by_weeks(
    payments: pd.DataFrame,
    *,
    train_start: datetime.date = BOOK_TRAIN_START,
    train_days: int = 7,
    delay_days: int = 7,
    test_days: int = 7,
) -> WeekSplit:
    """Splits payments as the book does.

    Payments of the test are those of cards that aren't blocked: see
    `blocked_payments`, with frauds since the beginning of training.

    Args:
        payments: With or without features; columns TX_DATETIME, CUSTOMER_ID,
            TX_FRAUD. Rows beyond the three periods are left out.
        train_start: First day of the training period. Default: the book's.
        train_days: Length of the training period.
        delay_days: Days until labels are known.
        test_days: Length of the test period.

    Returns:
        Three tables whose rows are as in `payments`.

    Raises:
        ValueError: If a length isn't positive, or a period has no payments.
    """
    lengths = {"train": train_days, "delay": delay_days, "test": test_days}
    for name, length in lengths.items():
        checks.check_positive(f"{name}_days", length)
    midnights = payments["TX_DATETIME"].dt.normalize()
    days = (midnights - pd.Timestamp(train_start)).dt.days.to_numpy()
    test_start = train_days + delay_days
    in_test = (days >= test_start) & (days < test_start + test_days)
    blocked = blocked_payments(payments, days, since=0, delay_days=delay_days)
    masks = {
        "train": (days >= 0) & (days < train_days),
        "delay": (days >= train_days) & (days < test_start),
        "test": in_test & ~blocked,
    }
    empty = [name for name, mask in masks.items() if not mask.any()]
    if empty:
        raise ValueError(
            f"`payments` has no rows in the period(s) {', '.join(empty)}, which begin "
            f"on {train_start} and last {train_days}, {delay_days} and {test_days} "
            "days."
        )
    return WeekSplit(**{name: payments[mask] for name, mask in masks.items()})
