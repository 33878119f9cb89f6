"""The report's words and numbers in the reader's language.

English is in the source; translations are `locale/<language>/LC_MESSAGES/report.po`,
compiled when they are read.
"""

import gettext
import io
import pathlib
from typing import Any

import babel
import babel.messages.mofile
import babel.messages.pofile
import babel.numbers

LANGUAGES = ("en", "zh")
LOCALE_FOLDER = pathlib.Path(__file__).parent / "locale"


def mark(text: str) -> str:
    """Marks a text for translation that `Words.say` is given later."""
    return text


class Words:
    """Says texts and numbers in one language.

    Attributes:
        language: One of `LANGUAGES`.
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise ValueError(
                f"`language` must be one of {', '.join(LANGUAGES)}, got {language!r}."
            )
        self.language = language
        self._locale = babel.Locale.parse(language)
        self._translations = _translations(language)

    @property
    def html_language(self) -> str:
        """The language as HTML's `lang` has it."""
        return {"zh": "zh-Hans"}.get(self.language, self.language)

    def say(self, text: str, **values: object) -> str:
        """The text in the reader's language, with values for its `%(name)s`."""
        translated = self._translations.gettext(text)
        return translated % values if values else translated

    def number(self, value: float, digits: int = 0, *, sign: bool = False) -> str:
        """A number with so many decimal places, and a proper minus sign."""
        # Rounded here, so that -0.04 with one place is 0.0 and not -0.0.
        value = round(value, digits) + 0.0
        places = f".{'0' * digits}" if digits else ""
        text = babel.numbers.format_decimal(
            abs(value), format=f"#,##0{places}", locale=self._locale
        )
        if value < 0:
            return f"\N{MINUS SIGN}{text}"
        return f"+{text}" if sign and value > 0 else text

    def percent(self, share: float, digits: int = 1) -> str:
        """A share of 1 in percent."""
        return self.say(
            "%(number)s\N{NO-BREAK SPACE}%%", number=self.number(100 * share, digits)
        )

    def size(self, number_of_bytes: float) -> str:
        """A traffic volume in the unit that suits it."""
        for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
            if number_of_bytes >= scale:
                digits = 1 if number_of_bytes < 100 * scale else 0
                return (
                    f"{self.number(number_of_bytes / scale, digits)}"
                    f"\N{NO-BREAK SPACE}{unit}"
                )
        return f"{self.number(number_of_bytes)}\N{NO-BREAK SPACE}B"

    def span(self, low: str, high: str) -> str:
        """An interval between two numbers."""
        return self.say("%(low)s to %(high)s", low=low, high=high)


def _translations(language: str) -> gettext.NullTranslations:
    if language == "en":
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    babel.messages.mofile.write_mo(compiled, read_catalogue(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def read_catalogue(language: str) -> Any:
    """The catalogue of a language other than English."""
    path = LOCALE_FOLDER / language / "LC_MESSAGES" / "report.po"
    with path.open("rb") as stream:
        return babel.messages.pofile.read_po(stream, locale=language)
