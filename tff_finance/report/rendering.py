"""Figures as inline SVG, SVG files and PNG files."""

import html
import io
import pathlib
import re
import warnings

import matplotlib.figure

from tff_finance.records import files
from tff_finance.report import styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture

_PNG_DPI = 200

# A missing glyph is measured as 0.6 of the width that a Chinese one has; two spaces
# of a quarter make room, and go before the figure is shown.
_SPACER = "\N{FOUR-PER-EM SPACE}"
_WIDE = re.compile(rf"([\u2e80-\uffef])(?!{_SPACER})")


def inline_svg(picture: Picture, words: Words) -> str:
    """The figure as an `svg` element for a page with other figures.

    Args:
        picture: The figure.
        words: Its language.

    Returns:
        The element: scales with its place, and ids begin with the figure's name,
        so that figures on one page don't share any.
    """
    svg = _svg_text(picture, words)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{picture.name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{picture.name}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{picture.name}-\1"', svg)
    svg = re.sub(r"<[^>]+>", _rounded, svg)
    view_box = re.search(r'viewBox="[^"]+"', svg)
    assert view_box is not None
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" {view_box[0]} role="img" '
        f'aria-label="{html.escape(picture.alt, quote=True)}">'
    )
    return opening + svg[svg.index(">") + 1 :]


def write_svg(path: pathlib.Path, picture: Picture, words: Words) -> None:
    """Writes the figure as an SVG file."""
    text = _svg_text(picture, words)
    files.write_atomically(path, lambda p: _write_text(p, text))


def write_png(path: pathlib.Path, picture: Picture, words: Words) -> None:
    """Writes the figure as a PNG file; in English if no font has the glyphs."""
    words = words if styles.has_glyphs(words) else Words("en")
    with styles.drawing(words):
        figure = picture.draw(words)
        files.write_atomically(
            path,
            lambda p: figure.savefig(p, format="png", dpi=_PNG_DPI, metadata={}),
        )


def _rounded(tag: re.Match[str]) -> str:
    """A tag without digits beyond hundredths of a point: half of it, and invisible."""
    return re.sub(r"(\d+\.\d{2})\d+", r"\1", tag[0])


def _svg_text(picture: Picture, words: Words) -> str:
    stream = io.StringIO()
    with styles.drawing(words), warnings.catch_warnings():
        # Glyphs come from the reader's fonts, not from this machine's.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        measured = words if styles.has_glyphs(words) else _SpacedWords(words.language)
        figure: matplotlib.figure.Figure = picture.draw(measured)
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue().replace(_SPACER, "")


class _SpacedWords(Words):
    """Words that are laid out as wide as they will be with the reader's fonts."""

    def say(self, text: str, **values: object) -> str:
        return _WIDE.sub(rf"\1{2 * _SPACER}", super().say(text, **values))


def _write_text(path: pathlib.Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
