"""Text in scripts without spaces between words, and with vowels as marks, as words that an index can find.

Full text, and whatever compares words, takes for a word what stands between two spaces. In Chinese, Japanese
or Thai that is a whole sentence, which no other text holds; and a vowel sign of Thai or Hindi ends a word in
its middle. So marks are left out, as short vowels are in written Arabic, and a run of letters without spaces
is read as overlapping pieces: pairs where a letter is a word or a syllable, three letters where it is less.
On tasks of a public set of intents, in words alone, the first answer is right for so many: Chinese .35 as
sentences, .46 as single signs, .67 as pairs; Japanese .03, .71, .81, and .80 cut into words by a person; an
alphabet without spaces .36, .49, and .71 as three letters (.63 as pairs). Other texts stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache

_ALPHABETS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_SIGNS = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
UNSPACED = _ALPHABETS + _SIGNS
"""Letters of languages that write without spaces, or put endings right behind a name: no word ends there."""

_LETTERS_A_PIECE, _SIGNS_A_PIECE = 3, 2
_OTHER_SCRIPTS = re.compile("[^\x00-\u02ff\u2000-\u2bff]+")
_NARROW = ("\uff00", "\uffa0")  # letters of half or of full width, between these


def indexed(text: str) -> str:
    """Return a text for an index: a piece begins at every letter, so that a shorter one is found as well."""
    return _split(text, _beginnings)


def in_pieces(text: str) -> str:
    """Return a text whose words can be compared, and looked for in an index."""
    return _split(text, _pieces)


def in_letters(text: str) -> str:
    """Return a text with every letter of such scripts as a word of its own."""
    return _split(text, lambda run, _: run)


def term(word: str) -> str:
    """Return a word as a term of an FTS5 expression; what is too short for a piece begins one."""
    short = is_unspaced(word) and len(word) < _size(word)
    return f'"{word}"*' if short else f'"{word}"'


def has_runs(text: str) -> bool:
    """Tell whether a text holds letters of scripts without spaces."""
    return not text.isascii() and bool(_OTHER_SCRIPTS.search(text) and _runs().search(text))


def without_runs(text: str) -> str:
    """Return a text, as long as it is, with blanks for the letters of scripts without spaces."""
    return _runs().sub(lambda found: " " * len(found[0]), text) if has_runs(text) else text


def cuts_run(text: str, place: int) -> bool:
    """Tell whether a place in a text lies inside of a run without spaces."""
    return 0 < place < len(text) and all(map(is_unspaced, text[place - 1 : place + 1]))


def is_unspaced(word: str) -> bool:
    """Tell whether a word is a piece of a run without spaces."""
    return not word.isascii() and _runs().fullmatch(word) is not None


def _split(text: str, cut: Callable[[str, int], Iterable[str]]) -> str:
    if text.isascii():
        return text
    return _OTHER_SCRIPTS.sub(lambda found: _rewritten(found[0], cut), text)


def _rewritten(text: str, cut: Callable[[str, int], Iterable[str]]) -> str:
    """Return text of other scripts in letters of usual width, without marks, its unspaced runs cut."""
    letters = set(text)
    if any(_NARROW[0] < letter < _NARROW[1] for letter in letters):
        text = unicodedata.normalize("NFKC", text)
        letters = set(text)
    marks = [ord(letter) for letter in letters if _is_mark(letter)]
    plain = text.translate(dict.fromkeys(marks)) if marks else text
    return _runs().sub(lambda found: f" {' '.join(cut(found[0], _size(found[0])))} ", plain)


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter).startswith("M")


def _beginnings(run: str, size: int) -> list[str]:
    return [run[start : start + size] for start in range(len(run))]


def _pieces(run: str, size: int) -> list[str]:
    return [run[start : start + size] for start in range(max(1, len(run) - size + 1))]


@cache
def _runs() -> re.Pattern[str]:
    """Return what finds runs without spaces; compiling it takes milliseconds, and few texts need it."""
    return re.compile(f"[{_ALPHABETS}]+|[{_SIGNS}]+")


def _size(run: str) -> int:
    return _LETTERS_A_PIECE if run[0] < "\u2000" else _SIGNS_A_PIECE


def joined(words: Iterable[str], text: str) -> list[str]:
    """Return words of a text for people: pieces that overlap in it as the one stretch that they are.

    Args:
        words: Some of those in ``in_pieces(text)``, in lower case.
        text: Where they stand.
    """
    known = list(words)
    stretches = list(_stretches([word for word in known if is_unspaced(word)], text))
    shown = (next((whole for whole, plain in stretches if word in plain), word) for word in known)
    return list(dict.fromkeys(shown))


def _stretches(pieces: Iterable[str], text: str) -> Iterator[tuple[str, str]]:
    """Yield each stretch of a text that pieces cover: as it is written, and without marks."""
    places = [place for place, letter in enumerate(text) if not _is_mark(letter)]
    plain = "".join(text[place] for place in places)
    places.append(len(text))
    covered = sorted(
        (found.start(), found.start() + len(piece))
        for piece in set(pieces)
        for found in re.finditer(f"(?={re.escape(piece)})", plain)
    )
    start, end = covered[0] if covered else (0, 0)
    for first, last in [*covered[1:], (len(plain) + 1, 0)]:
        if first >= end and end:
            yield text[places[start] : places[end]], plain[start:end]
            start = first
        end = max(end, last)
