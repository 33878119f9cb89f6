"""Figures in every form, also where fonts lack the page's language."""

import pytest
from matplotlib import font_manager

from tests.report.sample import sample_study
from tff_finance.report import styles
from tff_finance.report.catalogue import Words
from tff_finance.report.rendering import Drawing
from tff_finance.report.results_sections import headline_picture

ENGLISH, CHINESE = Words("en"), Words("zh")


def picture(words=ENGLISH):
    return headline_picture(sample_study(), words)


@pytest.fixture
def no_chinese_font(monkeypatch):
    monkeypatch.setattr(styles, "_CHINESE_FONTS", ())
    styles.chinese_font.cache_clear()
    yield
    styles.chinese_font.cache_clear()


@pytest.mark.usefixtures("no_chinese_font")
def test_png_falls_back_to_english_where_no_font_has_the_glyphs():
    drawing = Drawing(picture(CHINESE), CHINESE)
    assert drawing.png == Drawing(picture(), ENGLISH).png
    # The page's own figures are in Chinese, with the reader's fonts.
    assert "全市场" in drawing.inline_svg
    assert "全市场" in drawing.svg


def test_png_is_chinese_where_a_font_has_the_glyphs():
    if not styles.has_glyphs(CHINESE):
        pytest.skip("no Chinese font is installed")
    drawing = Drawing(picture(CHINESE), CHINESE)
    assert drawing.png != Drawing(picture(), ENGLISH).png


def test_a_font_installed_after_matplotlib_listed_them_is_found(monkeypatch):
    """Matplotlib's list of fonts is a file that it never looks behind."""
    manager = font_manager.fontManager
    if not styles.has_glyphs(CHINESE):
        pytest.skip("no Chinese font is installed")
    stale = [font for font in manager.ttflist if font.name.startswith("DejaVu")]
    monkeypatch.setattr(manager, "ttflist", stale)
    styles.chinese_font.cache_clear()
    assert styles.has_glyphs(CHINESE)


def test_forms_agree_whichever_is_asked_for_first(tmp_path):
    first, second = Drawing(picture(), ENGLISH), Drawing(picture(), ENGLISH)
    forms = first.svg, first.png, first.inline_svg
    assert (second.png, second.inline_svg, second.svg) == (forms[1], forms[2], forms[0])
    first.write(tmp_path / "a.png")
    first.write(tmp_path / "a.svg")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == first.svg
