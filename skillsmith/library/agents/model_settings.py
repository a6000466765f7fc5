"""Which language model is asked, told by three environment variables that other tools know, too.

``OPENAI_API_KEY``, ``OPENAI_BASE_URL`` and ``SKILLSMITH_MODEL``. Nothing is guessed: without a model's name
there is no model, and everything that does not need one goes on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from skillsmith.errors import UsageError

MODEL_VARIABLE = "SKILLSMITH_MODEL"
KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
TIMEOUT_VARIABLE = "SKILLSMITH_MODEL_TIMEOUT"

REQUEST_TIMEOUT_SECONDS = 120.0
"""Of one request; ``SKILLSMITH_MODEL_TIMEOUT`` says otherwise."""

RETRIES = 2
"""Further tries of a request that was answered with 408, 409, 429 or 5xx, or not at all."""

HOW_TO_CONFIGURE = (
    f"set {MODEL_VARIABLE} to a model's name, and {KEY_VARIABLE}, or {URL_VARIABLE} for a server of your own"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        model: Its name, as the endpoint knows it.
        base_url: The endpoint, up to and with ``/v1``; None: the one of OpenAI.
        api_key: None: the endpoint wants none.
        timeout_seconds: Of one request.
        retries: Further tries of a request that failed for no fault of its own.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_seconds: float = REQUEST_TIMEOUT_SECONDS
    retries: int = RETRIES

    @property
    def endpoint(self) -> str:
        """Where it is, for messages."""
        return self.base_url or "the OpenAI API"


def read_settings(
    environment: Mapping[str, str] | None = None, *, model: str | None = None
) -> ModelSettings | None:
    """Return the model that is configured, or None.

    Args:
        environment: Variables by name; None: those of the process.
        model: Its name; None: ``SKILLSMITH_MODEL`` says it.

    Raises:
        UsageError: What is set makes no sense.
    """
    values = os.environ if environment is None else environment
    name = (model or values.get(MODEL_VARIABLE, "")).strip()
    if not name:
        return None
    url = values.get(URL_VARIABLE, "").strip() or None
    key = values.get(KEY_VARIABLE, "").strip() or None
    if url is None and key is None:
        raise UsageError(
            f"the model {name!r} is named, but neither {KEY_VARIABLE} nor {URL_VARIABLE} is set",
            hint="give a key, or the address of a server of your own",
        )
    if url is not None and not url.startswith(("http://", "https://")):
        raise UsageError(f"{URL_VARIABLE} is {url!r}", hint="it begins with http:// or https://")
    return ModelSettings(
        model=name, base_url=url, api_key=key, timeout_seconds=_timeout(values.get(TIMEOUT_VARIABLE, ""))
    )


def _timeout(text: str) -> float:
    if not text.strip():
        return REQUEST_TIMEOUT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{TIMEOUT_VARIABLE} is {text!r}", hint="it is a number of seconds, like 120")
    return seconds
