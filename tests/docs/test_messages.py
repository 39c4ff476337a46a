"""Compare all messages for users with a reviewed list.

``messages.txt`` is that list. A new or changed message fails this test. Read it as a user (what is
wrong, what was given, what to do), then update the list::

    python tests/docs/test_messages.py
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("messages.txt")

#: Callables that take a message for a user: exceptions, warnings, and results of the doctor.
#: ``ApiError`` has texts of Dub's server.
MESSAGE_CALLS = re.compile(
    r"(?!ApiError)\w*(Error|Exception|Failure|[a-z]Refused|Limited|Reached|Parameter)|IncompleteResponse"
    r"|BadFile|BodyTooLarge|FilterMismatch|RepeatedRequest|UnsupportedEncoding|Problem|Value|Finding"
    r"|_failed_check|warn|warning|info|debug|exit|fail|echo"
)
#: Functions that return a part of a message.
MESSAGE_PARTS = re.compile(
    r"_?(hint|get_hint|explain|reason|format_reason|describe_wait_reason|what|why_unusable|typed"
    r"|problem|find_problem|note|describe)"
)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)


def messages_of(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the called or returning function, and the text of each message."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and MESSAGE_CALLS.fullmatch(name_of(node.func)):
            function, parts = (
                name_of(node.func),
                [*node.args, *(word.value for word in node.keywords)],
            )
        elif isinstance(node, ast.Return) and node.value is not None:
            function, parts = name_of_scope(node, parents), [node.value]
            if not MESSAGE_PARTS.fullmatch(function):
                continue
        else:
            continue
        for part in parts:
            for text in texts(part, node, parents):
                yield node.lineno, function, text


def scope_of(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.AST | None:
    """Return the enclosing function or the module."""
    scope = parents.get(node)
    while scope is not None and not isinstance(scope, SCOPES):
        scope = parents.get(scope)
    return scope


def name_of_scope(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> str:
    return getattr(scope_of(node, parents), "name", "")


def name_of(function: ast.expr) -> str:
    """Return the last part of the name of a called object."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def texts(node: ast.expr, place: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[str]:
    """Yield the possible messages of an expression: literals, and the values of names."""
    if isinstance(node, ast.Name):
        scope = scope_of(place, parents)
        for statement in ast.walk(scope) if scope is not None else ():
            if (
                isinstance(statement, ast.Assign)
                and not isinstance(statement.value, ast.Name)
                and any(
                    isinstance(target, ast.Name) and target.id == node.id
                    for target in statement.targets
                )
            ):
                yield from texts(statement.value, place, parents)
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body, place, parents)
        yield from texts(node.orelse, place, parents)
    else:
        text = literal(node)
        if " " in text.strip():  # one word is a name, not a message
            yield text


def literal(node: ast.expr) -> str:
    """Return a string as in the source, with ``{…}`` for inserted values; else an empty text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            "{" + ast.unparse(part.value) + "}"
            if isinstance(part, ast.FormattedValue)
            else literal(part)
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return literal(node.left) + literal(node.right)
    return ""


def messages() -> str:
    """Return the list for the present code."""
    lines = []
    for path in sorted((ROOT / "dub_uplink").rglob("*.py")):
        entries = sorted(set(messages_of(ast.parse(path.read_text("utf-8")))))
        if entries:
            formatted = [f"  {function}: {' '.join(text.split())}" for _, function, text in entries]
            lines += [path.relative_to(ROOT).as_posix(), *dict.fromkeys(formatted), ""]
    return "\n".join(lines)


def test_error_messages_match_the_stored_list() -> None:
    listed = LIST.read_text("utf-8").splitlines()
    present = messages().splitlines()
    new = [line for line in present if line not in listed]
    removed = [line for line in listed if line not in present]
    assert (new, removed) == ([], []), (
        "read the messages as a user (what is wrong, what was given, what to do);"
        " then run: python tests/docs/test_messages.py"
    )


def test_message_collector_finds_messages_in_every_form() -> None:
    source = """
def f(x):
    raise ValueError("one thing") if x else TypeError(f"two {x!r} things")
    text = f"three {x.y} " + "things"
    warnings.warn(text, stacklevel=2)
    raise click.UsageError("four things" if x else "five things")
    return print("not this one"), KeyError(x), int("nor this")
def _hint(x):
    return "six things"
"""
    assert {text for _, _, text in messages_of(ast.parse(source))} == {
        "one thing",
        "two {x} things",
        "three {x.y} things",
        "four things",
        "five things",
        "six things",
    }


if __name__ == "__main__":
    LIST.write_text(messages(), "utf-8", newline="\n")
    sys.stdout.write(f"{len(LIST.read_text('utf-8').splitlines())} lines in {LIST}\n")
