"""What goes wrong between an agent and its model, as one line that says what to do.

Importing this module imports openai: only ``ag2_runner`` does, when a model is needed.
"""

from __future__ import annotations

import openai

from skillsmith.library.agents.model_settings import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE, ModelSettings

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, UNPROCESSABLE = 400, 401, 403, 404, 422
TOO_MANY, SERVER_ERROR = 429, 500
MAX_CHARS = 300


def refuses_schema(error: BaseException) -> bool:
    """Whether an endpoint refused a request in a way that it would for a form of answer it does not know."""
    return isinstance(error, openai.APIStatusError) and error.status_code in (BAD_REQUEST, UNPROCESSABLE)


def explained(error: Exception, settings: ModelSettings) -> tuple[str, str]:
    """Return what went wrong in one sentence, and what to do.

    Args:
        error: What asking the model raised.
        settings: The model that was asked.
    """
    if isinstance(error, openai.APITimeoutError):
        seconds = f"{settings.timeout_seconds:g} s, {_tries(settings)}"
        return (
            f"{settings.model} at {settings.endpoint} did not answer within {seconds}",
            "try a faster model, or allow more time with SKILLSMITH_MODEL_TIMEOUT",
        )
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        return (
            f"the model endpoint {settings.endpoint} cannot be reached: {_line(cause)}",
            f"start the server, or set {URL_VARIABLE}",
        )
    if isinstance(error, openai.APIStatusError):
        return _status(error, settings)
    return f"the answer of {settings.model} cannot be used: {type(error).__name__}: {_line(error)}", ""


def _status(error: openai.APIStatusError, settings: ModelSettings) -> tuple[str, str]:
    status, said = error.status_code, _line(error)
    if status in (UNAUTHORIZED, FORBIDDEN):
        return f"{settings.endpoint} refuses the key: {said}", f"set {KEY_VARIABLE}"
    if status == NOT_FOUND:
        return (
            f"{settings.endpoint} does not know the model {settings.model!r}: {said}",
            f"set {MODEL_VARIABLE}; {URL_VARIABLE} usually ends with /v1",
        )
    if status == TOO_MANY:
        return (
            f"{settings.endpoint} allows no further request now, {_tries(settings)}: {said}",
            "wait, or look at your quota",
        )
    if status >= SERVER_ERROR:
        return f"{settings.endpoint} failed, {_tries(settings)}: {said}", "try again later"
    return f"{settings.endpoint} refused the request: {said}", ""


def _tries(settings: ModelSettings) -> str:
    return f"tried {settings.retries + 1} times" if settings.retries else "tried once"


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + "…"
