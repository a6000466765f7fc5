"""Runs of AG2 Classic for the tests: agents, groups, patterns, tools, code and models that fail."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from typing import Any

import autogen
from autogen import ConversableAgent, GroupChat, GroupChatManager, UserProxyAgent
from autogen.coding import LocalCommandLineCodeExecutor
from classic_play import Watch, agent, config, is_done, told
from scripted_server import Answer, JsonObject, Server, system_of, text, tools


def computing(body: JsonObject, number: int) -> Answer:
    """Write a program, then stop."""
    if number == 1:
        return text("Here:\n```python\nprint(6*7)\n```", reasoning="I should compute 6*7")
    return text("TERMINATE", reasoning="done")


def executing_user(folder: str) -> Any:
    """Return a user who runs code in a folder, by an executor."""
    executor = LocalCommandLineCodeExecutor(work_dir=folder, timeout=20)
    return UserProxyAgent(
        "user", human_input_mode="NEVER", is_termination_msg=is_done,
        code_execution_config={"executor": executor},
    )  # fmt: skip


def s1(watch: Watch) -> Any:
    """Two agents; code runs in an executor."""
    with Server(computing) as server, tempfile.TemporaryDirectory() as folder:
        coder = agent("coder", server)
        user = executing_user(folder)
        watch(user)
        return told(user.initiate_chat(coder, message="compute", max_turns=3))


def s1_legacy(watch: Watch) -> Any:
    """Two agents; code runs without an executor object, the second block in a language that nobody has."""

    def script(body: JsonObject, number: int) -> Answer:
        code = "```python\nprint(6*7)\n```\n```python\nprint(43)\n```\n```cobol\nSTOP RUN\n```"
        return text(code) if number == 1 else text("TERMINATE")

    with Server(script) as server, tempfile.TemporaryDirectory() as folder:
        coder = agent("coder", server)
        settings = {"work_dir": folder, "use_docker": False}
        user = UserProxyAgent(
            "user", human_input_mode="NEVER", is_termination_msg=is_done, code_execution_config=settings
        )
        watch(coder)
        return told(user.initiate_chat(coder, message="compute", max_turns=3))


def s6_code(watch: Watch) -> Any:
    """Two blocks of code; the first fails, so that the second never runs."""

    def script(body: JsonObject, number: int) -> Answer:
        blocks = "```python\nraise SystemExit(3)\n```\n```sh\necho never\n```"
        return text(blocks) if number == 1 else text("TERMINATE")

    with Server(script) as server, tempfile.TemporaryDirectory() as folder:
        coder = agent("coder", server)
        user = executing_user(folder)
        watch(user)
        return told(user.initiate_chat(coder, message="compute", max_turns=3))


def choosing(body: JsonObject, number: int) -> Answer:
    """Choose a speaker, at first unclearly; speak for the agents."""
    if "role play game" in system_of(body):
        chosen = {1: "B", 3: "I think maybe nobody", 4: "C"}.get(number, "A")
        return text(chosen, reasoning="selector thinks")
    return text(f"hi from {system_of(body)}" if number < 6 else "TERMINATE", reasoning="agent thinks")


def _group(server: Server, rounds: int) -> tuple[list[ConversableAgent], GroupChatManager]:
    members = [agent(name, server) for name in "ABC"]
    group = GroupChat(members, max_round=rounds, speaker_selection_method="auto")
    return members, GroupChatManager(group, llm_config=config(server), is_termination_msg=is_done)


def s2(watch: Watch) -> Any:
    """A group chat whose speakers a model selects."""
    with Server(choosing) as server:
        members, manager = _group(server, 4)
        watch(members[0])
        result = told(members[0].initiate_chat(manager, message="start"))
        return result, autogen.gather_usage_summary([*members, manager]), len(server.requests)


def s2_async(watch: Watch) -> Any:
    """The same, asynchronously."""

    def script(body: JsonObject, number: int) -> Answer:
        return text("B" if "role play game" in system_of(body) else f"hi from {system_of(body)}")

    with Server(script) as server:
        members, manager = _group(server, 3)
        watch(manager)
        return told(asyncio.run(members[0].a_initiate_chat(manager, message="start")))


def pattern_for(server: Server) -> Any:
    """Return a pattern: a tool that names the next agent, a handoff by the model, one after work."""
    from autogen.agentchat.group import (  # noqa: PLC0415  (slow)
        AgentTarget,
        ContextVariables,
        OnCondition,
        ReplyResult,
        StringLLMCondition,
        TerminateTarget,
    )
    from autogen.agentchat.group.patterns import DefaultPattern  # noqa: PLC0415

    def set_plan(plan: str, context_variables: ContextVariables) -> ReplyResult:
        """Set the plan."""
        context_variables["plan"] = plan
        return ReplyResult(
            message=f"plan={plan}", target=AgentTarget(writer), context_variables=context_variables
        )

    set_plan.__annotations__ = {
        "plan": str, "context_variables": ContextVariables, "return": ReplyResult,
    }  # fmt: skip
    planner = agent("planner", server, functions=[set_plan])
    writer, reviewer = agent("writer", server), agent("reviewer", server)
    writer.handoffs.add_llm_condition(
        OnCondition(target=AgentTarget(reviewer), condition=StringLLMCondition("draft is ready"))
    )
    reviewer.handoffs.set_after_work(TerminateTarget())
    return DefaultPattern(
        initial_agent=planner, agents=[planner, writer, reviewer], user_agent=agent("customer"),
        context_variables=ContextVariables({"plan": None}),
    )  # fmt: skip


def planning(body: JsonObject, number: int) -> Answer:
    """Speak for the agents of the pattern."""
    who = system_of(body)
    if who == "planner":
        return tools(("set_plan", {"plan": "3 acts"}), reasoning="plan first")
    if who == "writer":
        return tools((body["tools"][0]["function"]["name"], {}), reasoning="handoff!")
    return text("looks good")


def s3(watch: Watch) -> Any:
    """A pattern with handoffs and context variables."""
    from autogen.agentchat import initiate_group_chat  # noqa: PLC0415  (slow)

    with Server(planning) as server:
        pattern = watch(pattern_for(server))
        result, variables, last = initiate_group_chat(pattern, messages="write a play", max_rounds=12)
        return told(result), variables.to_dict(), last.name


def s3_async(watch: Watch) -> Any:
    """The same, asynchronously; one agent is watched."""
    from autogen.agentchat import a_initiate_group_chat  # noqa: PLC0415  (slow)

    async def go(server: Server) -> Any:
        pattern = pattern_for(server)
        watch(pattern.agents[1])
        return await a_initiate_group_chat(pattern, messages="write a play", max_rounds=12)

    with Server(planning) as server:
        result, variables, last = asyncio.run(go(server))
        return told(result), variables.to_dict(), last.name


def s3_run(watch: Watch) -> Any:
    """The same in a thread of AG2's, event by event."""
    from autogen.agentchat import run_group_chat  # noqa: PLC0415  (slow)

    with Server(planning) as server:
        pattern = watch(pattern_for(server))
        response = run_group_chat(pattern, messages="write a play", max_rounds=12)
        kinds = [type(event).__name__ for event in response.events]
        return kinds, response.summary, response.context_variables.to_dict()


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def mul(a: int, b: int) -> dict[str, int]:
    """Multiply."""
    return {"r": a * b}


def boom(x: int) -> str:
    """Fail."""
    raise ValueError("kaput")


def tool_pair(server: Server, *functions: Callable[..., Any]) -> tuple[ConversableAgent, ConversableAgent]:
    """Return an assistant that asks for tools, and the agent that executes them."""
    assistant, executor = agent("asst", server), agent("exec", is_termination_msg=is_done)
    for function in functions:
        autogen.register_function(
            function, caller=assistant, executor=executor, description=function.__doc__ or "a tool"
        )
    return assistant, executor


def calling(body: JsonObject, number: int) -> Answer:
    """Call two tools, then stop."""
    if number == 1:
        two = (("add", {"a": 2, "b": 3}), ("mul", {"a": 2, "b": 4}))
        return tools(*two, content="calling", reasoning="use tools")
    return text("TERMINATE", reasoning="enough")


def calling_badly(body: JsonObject, number: int) -> Answer:
    """Call tools that fail, that nobody has, with arguments that are no JSON or of the wrong type."""
    if number == 1:
        wrong = (("boom", {"x": 1}), ("nope", {}), ("add", "{bad json"), ("add", {"a": "zz", "b": 1}))
        return tools(*wrong)
    return text("TERMINATE")


def s4(watch: Watch) -> Any:
    """Tools, one of them asynchronous, which AG2 runs in a thread of its own."""
    with Server(calling) as server:
        assistant, executor = tool_pair(server, add, mul)
        watch(executor)
        return told(executor.initiate_chat(assistant, message="go", max_turns=5))


def s4_bad(watch: Watch) -> Any:
    """Tool calls that go wrong in every way."""
    with Server(calling_badly) as server:
        assistant, executor = tool_pair(server, add, boom)
        watch(assistant)
        return told(executor.initiate_chat(assistant, message="go", max_turns=5))


def s4_async(watch: Watch) -> Any:
    """Tools side by side on one event loop."""
    with Server(calling) as server:
        assistant, executor = tool_pair(server, add, mul)
        watch(executor)
        return told(asyncio.run(executor.a_initiate_chat(assistant, message="go", max_turns=5)))


def s6_500(watch: Watch) -> Any:
    """The model's server fails."""
    with Server([500]) as server:
        assistant, user = agent("asst", server), agent("u")
        watch(user)
        return told(user.initiate_chat(assistant, message="go", max_turns=2))


def s6_500_run(watch: Watch) -> Any:
    """It fails in a thread of AG2's."""
    with Server([500]) as server:
        assistant, user = agent("asst", server), agent("u")
        watch(user)
        response = user.run(assistant, message="go", max_turns=2)
        return [type(event).__name__ for event in response.events]


def s7_run_single(watch: Watch) -> Any:
    """One agent with a tool; AG2 makes the executing agent."""
    from autogen.tools import tool  # noqa: PLC0415  (slow)

    def script(body: JsonObject, number: int) -> Answer:
        return tools(("add", {"a": 2, "b": 3}), reasoning="use tools") if number == 1 else text("TERMINATE")

    with Server(script) as server:
        assistant = watch(agent("asst", server))
        adding = tool(name="add", description="Add.")(add)
        response = assistant.run(message="go", tools=[adding], max_turns=3)
        kinds = [type(event).__name__ for event in response.events]
        return kinds, response.summary


def s8_nested(watch: Watch) -> Any:
    """A chat inside an agent's turn, whose summary a model writes."""

    def script(body: JsonObject, number: int) -> Answer:
        return text(f"{body['messages'][0]['content']} says {number}", reasoning=f"thought {number}")

    with Server(script) as server:
        user, outer, inner = (
            agent("u", default_auto_reply="ok"),
            agent("outer", server),
            agent("inner", server),
        )
        chat = {"recipient": inner, "message": "help me", "max_turns": 1}
        outer.register_nested_chats([{**chat, "summary_method": "reflection_with_llm"}], trigger=user)
        watch(user)
        return told(user.initiate_chat(outer, message="go", max_turns=1))
