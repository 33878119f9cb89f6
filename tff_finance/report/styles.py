"""How figures look: readable in black and white, on paper and on a phone.

Colours are told apart by lightness as well, and never alone: every series has its
own line, marker and hatch. Colours have a contrast of 4.5 or more to white.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.axes
import matplotlib.figure
from matplotlib import font_manager

from tff_finance.report.catalogue import Words

# A phone's width at 1:1, with letters that can be read there; the page scales figures
# up where there is room.
WIDTH_INCHES = 4.8
# Letters of a legend's name that half of it has room for.
_LONGEST_OF_TWO = 26
MEDIUM = 11
SMALL = 10
GRID = "#d5d9de"
INK = "#1f2933"

# What brings Chinese glyphs to Debian.
FONT_PACKAGE = "fonts-noto-cjk"

# Fonts with Chinese glyphs, the most common first.
_CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
    # All that Matplotlib sees of a collection with every East Asian face.
    "Noto Sans CJK JP",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """What tells one series from another, also without colour."""

    color: str
    line: Any
    marker: str
    hatch: str


_CYCLE = (
    Style(color="#0b5a8a", line="--", marker="s", hatch="///"),
    Style(color="#b3261e", line="-", marker="o", hatch=""),
    Style(color="#8a5a00", line="-.", marker="D", hatch="..."),
    Style(color="#1f2933", line=":", marker="^", hatch="xxx"),
    Style(color="#6a3d9a", line=(0, (5, 1, 1, 1, 1, 1)), marker="v", hatch="\\\\\\"),
    Style(color="#1b6e3c", line=(0, (8, 2)), marker="P", hatch="++"),
    Style(color="#7a4b3a", line=(0, (3, 1, 1, 1)), marker="X", hatch="oo"),
)
_METHODS = ("local", "fed_avg", "fed_sgd", "centralized", "gradient_boosting")


def method_style(name: str, methods: Sequence[str]) -> Style:
    """The style of a method: its own if it is known, the next free one if not."""
    others = [method for method in methods if method not in _METHODS]
    return series_style([*_METHODS, *others].index(name))


def series_style(number: int) -> Style:
    """The style of the series with this number; styles repeat after seven."""
    return _CYCLE[number % len(_CYCLE)]


def has_glyphs(words: Words) -> bool:
    """Whether pixel images can be drawn in this language on this machine."""
    return words.language == "en" or chinese_font() is not None


@contextlib.contextmanager
def drawing(words: Words) -> Iterator[None]:
    """Settings under which figures are drawn and saved."""
    chinese = chinese_font() if words.language == "zh" else None
    fonts = ["DejaVu Sans"] if chinese is None else ["DejaVu Sans", chinese]
    with mpl.rc_context(
        {
            "font.family": fonts,
            "font.size": MEDIUM,
            "axes.titlesize": MEDIUM,
            "axes.labelsize": SMALL,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.unicode_minus": True,
            "grid.color": GRID,
            "hatch.linewidth": 0.6,
            "legend.frameon": False,
            "legend.fontsize": SMALL,
            "lines.linewidth": 1.6,
            "svg.fonttype": "none",
            "svg.hashsalt": "tff_finance",
        }
    ):
        yield


def new_figure(height: float) -> matplotlib.figure.Figure:
    """An empty figure of the report's width, height in inches."""
    return matplotlib.figure.Figure(
        figsize=(WIDTH_INCHES, height), layout="constrained"
    )


def legend_above(axes: matplotlib.axes.Axes, *, columns: int | None = None) -> None:
    """Puts the axes' legend above them, where it hides nothing.

    Args:
        axes: With labelled content.
        columns: Of the legend. Default: two, or one if names are too long for that.
    """
    handles, names = axes.get_legend_handles_labels()
    if columns is None:
        columns = 1 if max(map(len, names), default=0) > _LONGEST_OF_TWO else 2
    assert isinstance(axes.figure, matplotlib.figure.Figure)
    axes.figure.legend(
        handles,
        names,
        loc="outside upper left",
        ncols=columns,
        borderaxespad=0.2,
        handlelength=2.6,
        columnspacing=1.4,
    )


def legend_entry(
    axes: matplotlib.axes.Axes, label: str, *, color: str, marker: str, filled: bool
) -> None:
    """Adds a marker to the legend, without the bars of its interval."""
    axes.plot(
        [],
        [],
        color=color,
        marker=marker,
        markerfacecolor=color if filled else "white",
        linestyle="none",
        label=label,
    )


@functools.cache
def chinese_font() -> str | None:
    """The best font with Chinese glyphs; None if there is none."""
    return _first_installed() or (_first_installed() if _find_new_fonts() else None)


def _first_installed() -> str | None:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in _CHINESE_FONTS if name in installed), None)


def _find_new_fonts() -> bool:
    """Tells Matplotlib of fonts installed after it listed them; whether it got any."""
    # It keeps its list in a file for good: a font that was installed because a report
    # said it was missing would stay unseen.
    known = {font.fname for font in font_manager.fontManager.ttflist}
    new = [path for path in font_manager.findSystemFonts() if path not in known]
    for path in new:
        # A file that is no font, or one of a kind that can't be drawn with.
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            font_manager.fontManager.addfont(path)
    return bool(new)
