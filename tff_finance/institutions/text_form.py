"""Text forms of partitions and splits: what flags take and results name.

A form is a kind and its arguments, separated by colons; lists have commas,
options come last as `name=value`. Percent signs escape what a column's name has
of these characters, as in addresses: `column:a%3Ab` is column `a:b`.
"""

import dataclasses
import math
import urllib.parse
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Form:
    """A text taken apart.

    Attributes:
        text: As it was written; for errors.
        syntax: What its kind looks like; for errors.
        arguments: What stands between the colons behind the kind, options apart.
        options: Values by name.
    """

    text: str
    syntax: str
    arguments: tuple[str, ...]
    options: Mapping[str, str]

    def column(self, place: int) -> str:
        """The column that an argument names."""
        return urllib.parse.unquote(self.arguments[place])

    def number(self, place: int) -> float:
        """An argument that is a finite number."""
        return self._number(self.arguments[place])

    def integer(self, place: int) -> int:
        """An argument that is a whole number."""
        return self._integer(self.arguments[place])

    def numbers(self, place: int) -> tuple[float, ...]:
        """An argument that lists finite numbers."""
        return tuple(map(self._number, self.arguments[place].split(",")))

    def periods(self, place: int) -> tuple[tuple[str, str], ...]:
        """An argument that lists pairs, `FROM..TO`."""
        pairs = [part.partition("..") for part in self.arguments[place].split(",")]
        unquote = urllib.parse.unquote
        return tuple((unquote(start), unquote(end)) for start, _, end in pairs)

    def option_integer(self, name: str, default: int) -> int:
        """An option that is a whole number."""
        return self._integer(self.options[name]) if name in self.options else default

    def option_number(self, name: str, default: float) -> float:
        """An option that is a finite number."""
        return self._number(self.options[name]) if name in self.options else default

    def option_text(self, name: str, default: str) -> str:
        """An option that is a name."""
        return urllib.parse.unquote(self.options.get(name, quote(default)))

    def _number(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(
                f"{self.text!r} has {text!r} where a number must be: write "
                f"{self.syntax}."
            )
        return value

    def _integer(self, text: str) -> int:
        value = self._number(text)
        if not value.is_integer():
            raise ValueError(
                f"{self.text!r} has {text!r} where a whole number must be: write "
                f"{self.syntax}."
            )
        return int(value)


def take_apart(
    argument: str,
    text: str,
    syntaxes: Mapping[str, str],
    options: Mapping[str, tuple[str, ...]],
) -> tuple[str, Form]:
    """Takes a text form apart and checks its outline.

    Args:
        argument: Name of the argument that holds the text, for errors.
        text: For example `column:job:min_rows=2000`.
        syntaxes: What each kind looks like, for example `column:COLUMN`; it has
            as many arguments as that.
        options: Names of the options that each kind has.

    Returns:
        The kind, and its form.

    Raises:
        ValueError: If the kind is unknown, or arguments are too few or too many,
            or an option is unknown or given twice.
    """
    kind, *rest = text.split(":")
    if kind not in syntaxes:
        known = "; ".join(syntaxes.values())
        raise ValueError(f"`{argument}` must be one of {known}; got {text!r}.")
    allowed = options.get(kind, ())
    syntax = syntaxes[kind] + "".join(f"[:{name}=...]" for name in allowed)
    arguments = [part for part in rest if "=" not in part]
    pairs = [part.partition("=") for part in rest if "=" in part]
    names = [name for name, _, _ in pairs]
    well_formed = (
        len(arguments) == syntaxes[kind].count(":")
        and all(arguments)
        and set(names) <= set(allowed)
        and len(set(names)) == len(names)
    )
    if not well_formed:
        raise ValueError(f"`{argument}` must look like {syntax}; got {text!r}.")
    values = {name: value for name, _, value in pairs}
    return kind, Form(text, syntax, tuple(arguments), values)


def quote(name: str) -> str:
    """A column's name as text forms have it."""
    # Letters of all languages stay readable; only what has a meaning is escaped.
    return "".join(
        c if c not in ":,=%" and c.isprintable() else urllib.parse.quote(c, safe="")
        for c in name
    )


def number_text(value: float) -> str:
    """The shortest text of a number that reads back as the same one."""
    return repr(float(value)).removesuffix(".0")


def form(kind: str, *arguments: str, **options: str | None) -> str:
    """Puts a text form together; options of value None are left out."""
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    return ":".join([kind, *arguments, *given])
