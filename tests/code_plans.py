"""Short ways to make code blocks and to look at plans, for tests."""

from __future__ import annotations

from skillsmith.library.code.flow import CodeBlock, CodePlan
from skillsmith.library.templates import render
from skillsmith.models import Reason, Variable


def block(seq: int, text: str, **more: object) -> CodeBlock:
    """Return a Python block that went well."""
    return CodeBlock(**{"seq": seq, "text": text, "exit_code": 0, **more})  # type: ignore[arg-type]


def task(text: str) -> list[tuple[int, str, str]]:
    """Return a task as the only words."""
    return [(1, "task", text)]


def variables(plan: CodePlan) -> dict[str, Variable]:
    """Return the plan's variables by name."""
    return {variable.name: variable for variable in plan.variables}


def reason(plan: CodePlan, subject: str) -> Reason:
    """Return the reason for a decision on a subject."""
    return next(item for item in plan.reasons if item.subject == subject)


def code_with(plan: CodePlan, **values: object) -> list[str]:
    """Return the plan's code with some inputs changed."""
    inputs = {variable.name: variable.default for variable in plan.variables} | values
    return [render(one.template, inputs, language=one.block.language) for one in plan.blocks]
