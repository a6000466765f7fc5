"""An embedder for tests: the same words give the same vector, other words another; no model needed."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from hashlib import sha256

from skillsmith.library.matching.wording import stem, telling_words


class WordEmbedder:
    """Embeds a text as the sum of one fixed direction a word.

    Args:
        model: Its identity; vectors of another identity have other directions.
        dimension: Length of a vector.
    """

    def __init__(self, model: str = "words#test", dimension: int = 256) -> None:
        self.model = model
        self.dimension = dimension
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return each text's unit vector, and remember the texts."""
        self.embedded += texts
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        total = [0.0] * self.dimension
        for word in telling_words(text) or ["nothing"]:
            for place, number in enumerate(self._direction(stem(word))):
                total[place] += number
        length = math.sqrt(sum(number * number for number in total))
        return struct.pack(f"<{self.dimension}f", *(number / length for number in total))

    def _direction(self, word: str) -> list[float]:
        data = b"".join(
            sha256(f"{self.model}/{word}/{part}".encode()).digest()
            for part in range(self.dimension // 32 + 1)
        )
        return [byte / 127.5 - 1 for byte in data[: self.dimension]]
