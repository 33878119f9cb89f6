"""Refuses flags that state a protection which none of the trained methods gives."""

from collections.abc import Iterable

from absl import flags

from experiments import command_line
from tff_finance.records.settings_of_methods import PROMISES, check_read


def check_kept(methods: Iterable[str]) -> None:
    """Leaves with a usage error if a stated protection would make no difference.

    Other training flags may be given in vain: a preset has those of several methods.

    Args:
        methods: All that will be trained.
    """
    trained = tuple(dict.fromkeys(methods))
    for name in PROMISES:
        if flags.FLAGS[name].present:
            try:
                check_read(name, *trained)
            except ValueError as error:
                command_line.usage_error(
                    f"flag --{name}: {error} Without one of these nothing is protected "
                    "by it."
                )
