from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.trace.phrases import Haystack, PhraseIndex, TextIndex, whole

TEXT = st.text(alphabet="ab1 _-#田中", max_size=14)


@given(st.lists(TEXT.filter(bool), max_size=8), TEXT)
@settings(max_examples=150)
def test_every_phrase_that_a_text_holds_as_whole_words_is_found(phrases: list[str], text: str) -> None:
    """The index gives all phrases that a search one by one would, and none that the text does not hold."""
    found = dict(PhraseIndex((phrase, number) for number, phrase in enumerate(phrases)).within(text))
    assert {phrase for phrase in phrases if whole(phrase).search(text)} <= found.keys()
    assert all(phrase in text for phrase in found)
    assert all(phrases[number] == phrase for phrase, numbers in found.items() for number in numbers)


@given(st.lists(TEXT, max_size=8), TEXT.filter(bool))
@settings(max_examples=150)
def test_every_text_that_holds_a_phrase_is_a_candidate(texts: list[str], phrase: str) -> None:
    """The index names all texts that hold a phrase as whole words, latest first."""
    candidates = list(TextIndex(texts).candidates(phrase))
    assert {number for number, text in enumerate(texts) if whole(phrase).search(text)} <= set(candidates)
    assert candidates == sorted(candidates, reverse=True)


@given(st.lists(TEXT, max_size=8), TEXT.filter(bool))
@settings(max_examples=100)
def test_a_haystack_names_the_first_text(texts: list[str], wanted: str) -> None:
    """What stands in some text is found in the first of them, whatever its case."""
    expected = next((number for number, text in enumerate(texts) if wanted in text), None)
    assert Haystack([text.upper() for text in texts]).first(wanted) == expected


def test_words_end_where_a_language_without_spaces_begins() -> None:
    """A number stands alone between Chinese or Japanese signs, and a name of such signs anywhere."""
    assert whole("91202043").search("注文番号91202043をキャンセル")
    assert whole("田中太郎").search("名前は田中太郎です")
    assert not whole("12020").search("注文番号91202043を")
