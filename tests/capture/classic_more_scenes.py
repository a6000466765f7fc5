"""More runs of AG2 Classic for the tests: people, mishaps, streams, and what hosts do themselves."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from typing import Any

import autogen
from autogen import GroupChat, GroupChatManager
from autogen.cache import Cache
from autogen.io.base import IOStream
from classic_play import Quiet, Watch, agent, config, is_done, told
from classic_scenes import tool_pair
from scripted_server import Answer, JsonObject, Server, text, tools


def human(watch: Watch) -> Any:
    """A person answers, then ends the chat."""
    with Server([text("which colour?")]) as server, IOStream.set_default(Quiet("blue", "exit")):
        assistant = agent("asst", server)
        person = agent("person", human_input_mode="ALWAYS")
        watch(person)
        return told(person.initiate_chat(assistant, message="paint"))


def human_async(watch: Watch) -> Any:
    """The same, asynchronously."""
    with Server([text("which colour?")]) as server, IOStream.set_default(Quiet("blue", "exit")):
        assistant = agent("asst", server)
        person = agent("person", human_input_mode="ALWAYS")
        watch(assistant)
        return told(asyncio.run(person.a_initiate_chat(assistant, message="paint")))


def manual(watch: Watch) -> Any:
    """A person selects the speakers."""
    with Server([text("hello")]) as server, IOStream.set_default(Quiet("2")):
        members = [agent(name, server) for name in "ABC"]
        group = GroupChat(members, max_round=2, speaker_selection_method="manual")
        manager = GroupChatManager(group, llm_config=False)
        watch(group)
        watch(manager)
        return told(members[0].initiate_chat(manager, message="start"))


def cancelled(watch: Watch) -> Any:
    """An asynchronous chat is cancelled while the model thinks."""

    async def go() -> None:
        task = asyncio.create_task(user.a_initiate_chat(assistant, message="go", max_turns=1))
        await asyncio.to_thread(wait_for, lambda: server.requests)
        task.cancel()
        await task

    with Server([text("late", delay=0.4)]) as server:
        assistant, user = agent("asst", server), agent("u")
        watch(user)
        asyncio.run(go())


def raising(watch: Watch) -> Any:
    """A reply function of the user's fails."""

    def answer(recipient: Any, messages: Any = None, sender: Any = None, config: Any = None) -> Any:
        raise LookupError("no answer")

    alice, bob = agent("alice"), agent("bob")
    bob.register_reply([autogen.Agent, None], answer)
    watch(alice)
    return told(alice.initiate_chat(bob, message="hi", max_turns=1))


def exiting(watch: Watch) -> Any:
    """A tool ends the process."""

    def leave(code: int) -> str:
        """Leave."""
        sys.exit(code)

    leave.__annotations__ = {"code": int, "return": str}
    with Server([tools(("leave", {"code": 3}), reasoning="time to go")]) as server:
        assistant, executor = tool_pair(server, leave)
        watch(executor)
        return told(executor.initiate_chat(assistant, message="go", max_turns=2))


def streaming(watch: Watch) -> Any:
    """The model streams its answer; AG2 drops its reasoning."""
    with Server([text("one two", reasoning="count them")]) as server:
        assistant, user = agent("asst", server, llm_config=config(server, stream=True)), agent("u")
        watch(user)
        return told(user.initiate_chat(assistant, message="count", max_turns=1))


def newer_client(watch: Watch) -> Any:
    """AG2's newer client does not know the field that the server sends reasoning in."""
    with Server([text("one two", reasoning="count them")]) as server:
        settings = config(server, api_type="openai_v2")
        del settings["config_list"][0]["price"]  # with a price, AG2's newer client fails
        assistant, user = agent("asst", server, llm_config=settings), agent("u")
        watch(assistant)
        return told(user.initiate_chat(assistant, message="count", max_turns=1))


def timing_out(watch: Watch) -> Any:
    """The model takes too long."""
    with Server([text("late", delay=1.0)]) as server:
        assistant, user = agent("asst", server, llm_config=config(server, timeout=0.2)), agent("u")
        watch(assistant)
        return told(user.initiate_chat(assistant, message="go", max_turns=1))


def cached(watch: Watch) -> Any:
    """The second answer comes from AG2's cache."""
    with (
        Server([text("42", reasoning="known")]) as server,
        tempfile.TemporaryDirectory() as folder,
        Cache.disk(cache_seed=7, cache_path_root=folder) as cache,
    ):
        user = agent("u")
        watch(user)
        asked = []
        for _ in range(2):
            assistant = agent("asst", server)
            result = user.initiate_chat(assistant, message="6*7?", max_turns=1, cache=cache)
            asked.append(result.chat_history)
        return asked, len(server.requests)


def carried_over(watch: Watch) -> Any:
    """Two chats; the first one's summary goes into the second."""
    with Server([text("paris"), text("seine")]) as server:
        user, one, two = agent("u"), agent("one", server), agent("two", server)
        watch(user)
        results = user.initiate_chats([
            {"recipient": one, "message": "capital?", "max_turns": 1},
            {"recipient": two, "message": "river?", "max_turns": 1},
        ])  # fmt: skip
        return [told(result) for result in results]


def functions(watch: Watch) -> Any:
    """A function call as it was before tool calls, without an id."""

    def spell(word: str) -> str:
        return "-".join(word)

    def answer(recipient: Any, messages: Any = None, sender: Any = None, config: Any = None) -> Any:
        done = messages[-1].get("role") == "function"
        return True, "TERMINATE" if done else call

    call = {"content": None, "function_call": {"name": "spell", "arguments": '{"word": "ab"}'}}
    assistant, executor = agent("asst"), agent("exec", is_termination_msg=is_done)
    executor.register_function({"spell": spell})
    assistant.register_reply([autogen.Agent, None], answer)
    watch(assistant)
    return told(executor.initiate_chat(assistant, message="spell"))


def asked_directly(watch: Watch) -> Any:
    """The host asks an agent for a reply itself, twice, in one growing conversation."""
    with Server([text("hello", reasoning="greet"), text("bye")]) as server:
        assistant = watch(agent("asst", server))
        messages = [{"role": "user", "content": "hi"}]
        first = assistant.generate_reply(messages=messages)
        messages += [{"role": "assistant", "content": first}, {"role": "user", "content": "ciao"}]
        return first, assistant.generate_reply(messages=messages)


def sent_directly(watch: Watch) -> Any:
    """The host sends a message itself."""
    with Server([text("hello")]) as server:
        assistant, user = agent("asst", server), agent("u")
        watch(user)
        user.send("hi", assistant, request_reply=True)
        return user.chat_messages[assistant]


def as_tool(watch: Watch) -> Any:
    """An agent's tool asks another agent."""

    def script(body: JsonObject, number: int) -> Answer:
        if body["messages"][0]["content"] == "expert":
            return text("deep", reasoning="expertly")
        return tools(("ask", {"question": "why?"})) if number == 1 else text("done")

    with Server(script) as server:
        expert = agent("expert", server)

        def ask(question: str) -> str:
            """Ask the expert."""
            result = agent("go_between").initiate_chat(expert, message=question, max_turns=1)
            return str(result.summary)

        ask.__annotations__ = {"question": str, "return": str}
        assistant, executor = tool_pair(server, ask)
        watch(executor)
        watch(expert)
        return told(executor.initiate_chat(assistant, message="go", max_turns=2))


def resumed(watch: Watch) -> Any:
    """A group goes on where another one stopped."""
    with Server([text("third")]) as server:
        members = [agent(name, server) for name in "AB"]
        group = GroupChat(members, max_round=2, speaker_selection_method="round_robin")
        manager = GroupChatManager(group, llm_config=False)
        watch(manager)
        before = [
            {"role": "user", "name": "A", "content": "first"},
            {"role": "user", "name": "B", "content": "second"},
        ]
        last, message = manager.resume(before)
        return told(last.initiate_chat(manager, message=message, clear_history=False))


def in_pairs(watch: Watch) -> Any:
    """One assistant is asked by two users at the same time."""

    def script(body: JsonObject, number: int) -> Answer:
        asked = body["messages"][-1]["content"]
        return text(f"to {asked}", reasoning=f"about {asked}", delay=0.1)

    async def go() -> list[Any]:
        chats = (user.a_initiate_chat(assistant, message=user.name, max_turns=1) for user in users)
        return [result.chat_history for result in await asyncio.gather(*chats)]

    with Server(script) as server:
        assistant, users = agent("asst", server), [agent("one"), agent("two")]
        watch(assistant)
        watch(users[0])
        watch(users[1])
        return asyncio.run(go())


def silent_thread(watch: Watch) -> Any:
    """A chat in a thread of the host's, whose replies nobody sends on."""
    said: list[Any] = []

    def work() -> None:
        with IOStream.set_default(Quiet()):
            said.append(bob.generate_reply(messages=[{"content": "hm", "role": "user"}], sender=alice))

    alice, bob = agent("alice"), agent("bob", default_auto_reply="yes")
    watch(bob)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return said


def iterated(watch: Watch) -> Any:
    """A chat in a thread of AG2's that goes on event by event."""
    with Server([text("hello")]) as server:
        assistant, user = agent("asst", server), agent("u")
        watch(user)
        events = user.run_iter(assistant, message="hi", max_turns=1)
        return [type(event).__name__ for event in events]


def run_asynchronously(watch: Watch) -> Any:
    """A chat in a task of AG2's."""

    async def go() -> list[str]:
        response = await user.a_run(assistant, message="hi", max_turns=1)
        return [type(event).__name__ async for event in response.events]

    with Server([text("hello")]) as server:
        assistant, user = agent("asst", server), agent("u")
        watch(user)
        return asyncio.run(go())


def wait_for(condition: Any, seconds: float = 5.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
