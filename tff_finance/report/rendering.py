"""Figures as inline SVG, SVG files and PNG files.

A figure is drawn and laid out once, which is most of the work, and then printed
in every form that is asked for.
"""

import contextlib
import functools
import html
import io
import pathlib
import re
import warnings
from collections.abc import Iterator

import matplotlib.figure
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG

from tff_finance.records import files
from tff_finance.report import styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture

_PNG_DPI = 200

# A missing glyph is measured as 0.6 of the width that a Chinese one has; two spaces
# of a quarter make room, and go before the figure is shown.
_SPACER = "\N{FOUR-PER-EM SPACE}"
_WIDE = re.compile(rf"([\u2e80-\uffef])(?!{_SPACER})")


class Drawing:
    """A picture in one language, in all its forms."""

    def __init__(self, picture: Picture, words: Words) -> None:
        self._picture = picture
        self._words = words
        self._has_glyphs = styles.has_glyphs(words)

    @functools.cached_property
    def svg(self) -> str:
        """The text of an SVG file: glyphs come from the reader's fonts."""
        stream = io.StringIO()
        with _drawing(self._words):
            FigureCanvasSVG(self._figure).print_svg(stream, metadata={"Date": None})
        return stream.getvalue().replace(_SPACER, "")

    @functools.cached_property
    def inline_svg(self) -> str:
        """The figure as an `svg` element for a page with other figures.

        It scales with its place, and ids begin with the figure's name, so that
        figures on one page don't share any.
        """
        name = self._picture.name
        svg = self.svg[self.svg.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
        svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
        svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
        svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
        svg = re.sub(r"<[^>]+>", _rounded, svg)
        view_box = re.search(r'viewBox="[^"]+"', svg)
        assert view_box is not None
        opening = (
            f'<svg xmlns="http://www.w3.org/2000/svg" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink" {view_box[0]} role="img" '
            f'aria-label="{html.escape(self._picture.alt, quote=True)}">'
        )
        return opening + svg[svg.index(">") + 1 :]

    @functools.cached_property
    def png(self) -> bytes:
        """The bytes of a PNG file; in English if no font has the glyphs."""
        if not self._has_glyphs:
            return Drawing(self._picture, Words("en")).png
        stream = io.BytesIO()
        with _drawing(self._words):
            self._figure.set_dpi(_PNG_DPI)
            FigureCanvasAgg(self._figure).print_png(stream, metadata={})
        return stream.getvalue()

    def write(self, path: pathlib.Path) -> None:
        """Writes a PNG or SVG file, by its ending."""
        content = self.png if path.suffix == ".png" else self.svg.encode()
        files.write_atomically(path, lambda p: _write_bytes(p, content))

    @functools.cached_property
    def _figure(self) -> matplotlib.figure.Figure:
        """The figure with everything in its place; it isn't laid out again."""
        language = self._words.language
        words = self._words if self._has_glyphs else _SpacedWords(language)
        with _drawing(self._words):
            figure = self._picture.draw(words)
            engine = figure.get_layout_engine()
            assert engine is not None
            engine.execute(figure)
            figure.set_layout_engine("none")
        return figure


@contextlib.contextmanager
def _drawing(words: Words) -> Iterator[None]:
    with styles.drawing(words), warnings.catch_warnings():
        # Where a glyph is missing here, the reader's fonts have it.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def _rounded(tag: re.Match[str]) -> str:
    """A tag without digits beyond hundredths of a point: half of it, and invisible."""
    return re.sub(r"(\d+\.\d{2})\d+", r"\1", tag[0])


class _SpacedWords(Words):
    """Words that are laid out as wide as they will be with the reader's fonts."""

    def say(self, text: str, **values: object) -> str:
        return _WIDE.sub(rf"\1{2 * _SPACER}", super().say(text, **values))


def _write_bytes(path: pathlib.Path, content: bytes) -> None:
    path.write_bytes(content)
