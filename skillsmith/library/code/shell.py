"""The literal words of shell commands: what a POSIX shell takes as it stands.

Only characters without any expansion are offered; substitutions, parameters, globs, arithmetic and
here-documents are skipped whole. A command the lexer does not understand has no literals at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from skillsmith.errors import UsageError
from skillsmith.library.code.beside import Beside, NameSource
from skillsmith.library.code.literals import Literal
from skillsmith.library.code.source import Positions

_BLANK = re.compile(r"(?:[ \t]|\\\r?\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_HEREDOC = re.compile(r"\d*<<(-?)(?!<)[ \t]*(?:'([^'\n]+)'|\"([^\"\n]+)\"|\\?([\w.]+))")
_REDIRECT = re.compile(r"\d*(?:<<<|>>|>\||[<>]&[\d-]*|<>|&>>?|[<>])")
_ARITHMETIC = re.compile(r"\(\(.*?\)\)", re.DOTALL)
_OPERATOR = re.compile(r"\r?\n|&&|\|\||;;&?|;&|\|&|[;|&()]")
_BARE = re.compile(r"[^\s'\"\\$`;&|()<>]+")
_SINGLE = re.compile(r"'([^']*)'")
_ANSI = re.compile(r"\$'(?:[^'\\]|\\.)*'", re.DOTALL)
_PARAMETER = re.compile(r"\$(?:\w+|[@*#?$!-]|(?=[\s\"]|$))")
_BACKTICKS = re.compile(r"`(?:[^`\\]|\\.)*`", re.DOTALL)
_DOUBLE_RUN = re.compile(r"[^\"\\$`]+")
_UNCLEAR = re.compile(r"<<|\bcase\b|(?<=\s)#")  # brackets inside these need not match
_SAFE = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_OPTION = re.compile(r"--?([A-Za-z][\w-]*)")
_SETTING = re.compile(r"(?:--?([A-Za-z][\w-]*)|([A-Za-z_]\w*))=")
_NEGATIVE = re.compile(r"-\d+(\.\d+)?")
_READERS = frozenset(
    "grep egrep fgrep rg awk gawk head tail wc cut cat tac ls uniq tr echo printf jq diff cmp comm column nl "
    "paste join date pwd tree zcat xxd od hexdump strings md5sum sha256sum stat du df file basename dirname "
    "realpath which true test set cd seq rev fold expand".split()
)
"""Commands that change no file by themselves."""
_SEARCHERS = frozenset({"grep", "egrep", "fgrep", "rg"})
"""Commands whose first operand is what they look for."""
_SEARCH_VALUES = frozenset({"A", "B", "C", "D", "d", "e", "f", "m"})
_RESERVED = {
    "if", "then", "else", "elif", "fi", "do", "done", "while", "until", "for", "in", "case", "esac", "{", "}",
    "!", "time", "[[", "]]", "function", "select",
}  # fmt: skip


def shell_literals(code: str) -> list[Literal]:
    """List the literal words, and literal parts of words, of shell commands in order of their places.

    Raises:
        UsageError: When a quote or substitution does not end.
    """
    return list(_Lexer(code).run())


def shell_words(code: str) -> int:
    """Count the words of shell commands.

    Raises:
        UsageError: When a quote or substitution does not end.
    """
    lexer = _Lexer(code)
    for _ in lexer.run():
        pass
    return lexer.words


def shell_commands(code: str) -> list[str]:
    """List the commands that shell code begins its parts with, as they stand there, each once.

    Raises:
        UsageError: When a quote or substitution does not end.
    """
    lexer = _Lexer(code)
    for _ in lexer.run():
        pass
    return list(dict.fromkeys(lexer.commands))


def shell_only_looks(code: str) -> bool:
    """Tell whether shell commands can change nothing: known readers, joined by pipes, into no file."""
    if re.search(r"`|\$\(|<\(|>\(|<<|\bsystem\b", code):
        return False
    quoted = re.findall(r"'[^']*'|\"[^\"]*\"", code)
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "''", code.replace("\\\n", " "))
    bare = re.sub(r"\d?>&\d|\d?>\s*/dev/null", "", bare)
    if ">" in bare or any(">" in text for text in quoted):  # awk writes files, too
        return False
    for command in re.split(r"\|\||&&|[|;&\n]", bare):
        words = [word for word in command.split() if not re.fullmatch(r"\w+=\S*", word)]
        if words and not words[0].startswith("#") and not _is_reader(words):
            return False
    return True


def _is_reader(words: list[str]) -> bool:
    name, options = words[0].rpartition("/")[2], {word.partition("=")[0] for word in words[1:]}
    if name == "find":
        return not options & {"-delete", "-exec", "-execdir", "-ok", "-fprint", "-fprintf", "-fls"}
    if name == "sort":
        return not any(option.startswith(("-o", "--output")) for option in options)
    if name == "sed":
        return not any(re.match(r"-\w*i|--in-place", option) for option in options)
    return name in _READERS


@dataclass(slots=True)
class _Run:
    """Literal characters in a word: their offsets and how another value is written there."""

    start: int
    end: int
    encoding: str


@dataclass(slots=True)
class _Word:
    start: int
    end: int = 0
    runs: list[_Run] = field(default_factory=list)
    plain: bool = True


class _Lexer:
    def __init__(self, code: str) -> None:
        self._code = code
        self._lines = Positions(code)
        self._position = 0
        self._heredocs: list[tuple[str, bool]] = []
        self._command: str | None = None
        self._option: str | None = None
        self._starting = True
        self._raw = False
        self._sought = False  # whether a search was told what for
        self.words = 0
        self.commands: list[str] = []

    def run(self) -> Iterator[Literal]:
        while self._position < len(self._code):
            if not self._skip():
                word = self._word()
                self.words += 1
                yield from self._literals(word)
                self._follow(word)

    # -------------------------------------------------------------------------------- between words

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._code, self._position)
        if match:
            self._position = match.end()
        return match

    def _skip(self) -> bool:
        """Pass over what is no word; return whether anything was passed."""
        if self._match(_BLANK) or self._match(_COMMENT):
            return True
        if self._starting and self._match(_ARITHMETIC):
            return True
        if heredoc := self._match(_HEREDOC):
            dash, *names = heredoc.groups()
            self._heredocs.append((next(name for name in names if name), bool(dash)))
            return True
        if self._match(_REDIRECT):
            return True
        operator = self._match(_OPERATOR)
        if operator is None:
            return False
        self._starting, self._option, self._command, self._sought = True, None, None, False
        if operator[0].endswith("\n"):
            self._skip_heredocs()
        return True

    def _skip_heredocs(self) -> None:
        for name, dash in self._heredocs:
            indent = r"\t*" if dash else ""
            end = re.compile(rf"^{indent}{re.escape(name)}\r?$", re.MULTILINE)
            match = end.search(self._code, self._position)
            self._position = match.end() if match else len(self._code)
        self._heredocs.clear()

    # ----------------------------------------------------------------------------------- inside words

    def _word(self) -> _Word:
        word = _Word(self._position)
        while self._position < len(self._code) and self._piece(word):
            pass
        if self._position == word.start:
            raise self._error("cannot be read")
        word.end = self._position
        return word

    def _piece(self, word: _Word) -> bool:
        """Pass over one piece of a word; return whether there was one."""
        start = self._position
        if self._match(_BARE):
            word.runs.append(_Run(start, self._position, "sh-bare"))
        elif single := self._match(_SINGLE):
            word.runs.append(_Run(single.start(1), single.end(1), "sh-sq"))
        elif self._code.startswith('"', start):
            self._position += 1
            self._double(word)
        elif self._code.startswith("\\", start) and start + 1 < len(self._code):
            self._position, word.plain = start + 2, False
        elif self._expansion():
            word.plain = False
        else:
            if self._code[start] in "'\"`\\$":
                raise self._error("does not end")
            return False
        return True

    def _double(self, word: _Word) -> None:
        opened = self._position
        while self._position < len(self._code):
            start = self._position
            if self._code.startswith('"', start):
                self._position += 1
                if start == opened:
                    word.runs.append(_Run(start, start, "sh-dq"))
                return
            if self._match(_DOUBLE_RUN):
                word.runs.append(_Run(start, self._position, "sh-dq"))
                continue
            word.plain = False
            if self._code.startswith("\\", start):
                self._position += 2
            elif not self._expansion():
                self._position += 1
        raise self._error("does not end")

    def _expansion(self) -> bool:
        """Pass over a parameter, substitution or ANSI-C string; return whether there was one."""
        if self._match(_ANSI) or self._match(_BACKTICKS):
            return True
        if self._code.startswith("$(", self._position):
            self._bracketed("(", ")")
            return True
        if self._code.startswith("${", self._position):
            self._bracketed("{", "}")
            return True
        return self._match(_PARAMETER) is not None

    def _bracketed(self, opening: str, closing: str) -> None:
        depth, opened = 0, self._position
        while self._position < len(self._code):
            char = self._code[self._position]
            if char in "'\"`\\":
                self._quoted(char)
                continue
            depth += (char == opening) - (char == closing)
            self._position += 1
            if char == closing and depth == 0:
                if _UNCLEAR.search(self._code, opened, self._position):
                    raise self._error("cannot be read")
                return
        raise self._error("does not end")

    def _quoted(self, char: str) -> None:
        """Pass over a quoted stretch inside a substitution."""
        if char == "\\":
            self._position += 2
        elif char == '"':
            self._position += 1
            self._double(_Word(self._position))
        elif not self._match(_SINGLE if char == "'" else _BACKTICKS):
            raise self._error("does not end")

    def _error(self, what: str) -> UsageError:
        line = self._lines.line(min(self._position, len(self._code)))
        return UsageError(f"the shell command {what} near line {line}", hint="check its quotes")

    # --------------------------------------------------------------------------------------- meaning

    def _text(self, word: _Word) -> str:
        return "".join(self._code[run.start : run.end] for run in word.runs)

    def _follow(self, word: _Word) -> None:
        """Remember what the next word needs to know about this one."""
        text = self._text(word)
        self._sought = self._sought or text == "-e" or not self._is_of_option(text)
        option = _OPTION.fullmatch(text) if word.plain else None
        self._option = option[1].replace("-", "_") if option else None
        self._raw = text == "=~"
        assigns = _SETTING.match(text) is not None and not text.startswith("-")
        if self._starting and text not in _RESERVED and not assigns:
            self._starting, self._command = False, text
            self.commands += [text] if word.plain else []

    def _literals(self, word: _Word) -> Iterator[Literal]:
        text = self._text(word)
        setting = _SETTING.match(text) if word.runs and word.runs[0].encoding == "sh-bare" else None
        name: str | None = self._option
        source: NameSource = "option"
        runs = word.runs
        if setting is not None:
            name = (setting[1] or setting[2]).replace("-", "_")
            source = "option" if setting[1] else "target"
            head = word.runs[0]  # the word itself stays: what follows depends on all of it
            after = [_Run(head.start + setting.end(), head.end, head.encoding), *word.runs[1:]]
            runs = [run for run in after if run.start < run.end] or after[:1]
        elif self._command in _SEARCHERS and not self._sought and not self._is_of_option(text):
            name, source = "pattern", "option"
        beside = Beside(name=name, source=source if name else None, call=self._command)
        whole = word.plain and len(runs) == 1
        movable = not (self._raw or text in _RESERVED) and (
            setting is not None or not self._is_syntax(word, text)
        )
        for run in runs:
            value = self._code[run.start : run.end]
            if not value and not whole:
                continue
            begins = run.start - word.start <= 1 and not value.startswith("-")
            yield Literal(
                value=value,
                kind="word",
                start=run.start,
                end=run.end,
                token_start=word.start,
                token_end=word.end,
                line=self._lines.line(run.start),
                beside=beside,
                whole=whole,
                encoding=f"{run.encoding}-arg" if begins else run.encoding,
                liftable=movable and (run.encoding != "sh-bare" or _SAFE.fullmatch(value) is not None),
            )

    def _is_of_option(self, text: str) -> bool:
        """Whether a word of a search is its command, an option or the value of one: not what is sought."""
        return self._starting or text.startswith("-") or self._option in _SEARCH_VALUES

    def _is_syntax(self, word: _Word, text: str) -> bool:
        """Whether a word is a command's name or an option, or hides where it begins."""
        option = text.startswith("-") and not _NEGATIVE.fullmatch(text)
        hidden = len(word.runs) > 1 and word.runs[0].start == word.runs[0].end
        return self._starting or option or hidden
