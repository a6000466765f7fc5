from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.word_pieces import in_letters, in_pieces, indexed, is_unspaced, joined, term

WRITTEN = st.text(alphabet="ab1 _-#数据分析データสงอเมล\u0e35हन\u0940é\u0301\uff23\uff33", max_size=20)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("数据分析 report", ["数据", "据分", "分析", "report"]),
        ("データをCSVに保存", ["デー", "ータ", "タを", "CSV", "に保", "保存"]),
        ("ｶﾞﾗｽをＣＳＶに", ["ガラ", "ラス", "スを", "CSV", "に"]),
        ("데이터를 분석", ["데이", "이터", "터를", "분석"]),
        ("ส่งอีเมล", ["สงอ", "งอเ", "อเม", "เมล"]),
        ("रिपोर्ट भेजो", ["रपरट", "भज"]),
        ("Größe der Übersicht, “naïve” — x²", ["Größe", "der", "Übersicht,", "“naïve”", "—", "x²"]),
        ("Нарисуй график", ["Нарисуй", "график"]),
        ("图", ["图"]),
    ],
)  # fmt: skip
def test_runs_without_spaces_become_pieces_and_other_words_stay(text: str, pieces: list[str]) -> None:
    """Signs go in pairs, letters of Thai in threes; marks go, widths are one, and spaced words are whole."""
    assert in_pieces(text).split() == pieces


def test_an_index_knows_what_is_shorter_than_a_piece() -> None:
    """A piece begins at every letter of a run, so that its last letters are found by themselves."""
    assert indexed("数据图").split() == ["数据", "据图", "图"]
    assert in_letters("画图 now").split() == ["画", "图", "now"]
    assert (term("图"), term("数据"), term("plot"), term("x")) == ('"图"*', '"数据"', '"plot"', '"x"')
    assert [word for word in ("图", "plot", "график", "สงอ") if is_unspaced(word)] == ["图", "สงอ"]


@given(WRITTEN)
def test_whatever_is_asked_for_is_indexed(text: str) -> None:
    """Every piece of a text is among those under which an index holds it."""
    assert set(in_pieces(text).split()) <= set(indexed(text).split())


@given(st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=40))
def test_text_in_latin_letters_stays_as_it_is(text: str) -> None:
    """English and its neighbours are indexed and compared as they are written."""
    assert indexed(text) == in_pieces(text) == in_letters(text) == text


def test_pieces_are_shown_as_the_stretch_that_they_cover() -> None:
    """People read the words of the text, marks and all, in the order of the pieces."""
    assert joined(["据分", "report", "数据", "分析"], "把数据分析一下 report") == ["数据分析", "report"]
    assert joined(["สงอ", "งอเ"], "ช่วยส่งอีเมล") == ["ส่งอีเ"]
    assert joined(["plot", "spectrum"], "plot the spectrum") == ["plot", "spectrum"]
    assert joined([], "数据") == []
