"""Every message that a user may be shown, in a list that a person has read.

``messages.txt`` is that list. A message that is new or was changed fails here until someone has
read it as a user would (what happened, why, what to do) and has updated the list::

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

#: What is made with a message for a user: exceptions of any module, warnings, the findings
#: of the doctor. ``ApiError`` holds texts of Dub's server.
SPEAKING = re.compile(
    r"(?!ApiError)\w*(Error|Exception|Failure|[a-z]Refused|Limited|Reached|Parameter)|IncompleteResponse"
    r"|BadFile|BodyTooLarge|FilterMismatch|RepeatedRequest|UnsupportedEncoding|Problem|Value|Finding"
    r"|_failed_check|warn|warning|info|debug|exit|fail|echo"
)
#: What says something that becomes a part of a message.
HELPING = re.compile(
    r"_?(hint|explain|reason|reason_for_wait|what|why_unusable|typed|problem|note|describe)"
)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)


def told(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """The line, the kind and the text of each message of a module."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and SPEAKING.fullmatch(name_of(node.func)):
            kind, parts = name_of(node.func), [*node.args, *(word.value for word in node.keywords)]
        elif isinstance(node, ast.Return) and node.value is not None:
            kind, parts = name_of_scope(node, parents), [node.value]
            if not HELPING.fullmatch(kind):
                continue
        else:
            continue
        for part in parts:
            for text in texts(part, node, parents):
                yield node.lineno, kind, text


def scope_of(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.AST | None:
    """The function that something stands in, or the module."""
    scope = parents.get(node)
    while scope is not None and not isinstance(scope, SCOPES):
        scope = parents.get(scope)
    return scope


def name_of_scope(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> str:
    return getattr(scope_of(node, parents), "name", "")


def name_of(function: ast.expr) -> str:
    """The last part of what is called."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def texts(node: ast.expr, place: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[str]:
    """The messages that an expression may be: written there, or given a name before."""
    if isinstance(node, ast.Name):
        scope = scope_of(place, parents)
        for found in ast.walk(scope) if scope is not None else ():
            if (
                isinstance(found, ast.Assign)
                and not isinstance(found.value, ast.Name)
                and any(isinstance(one, ast.Name) and one.id == node.id for one in found.targets)
            ):
                yield from texts(found.value, place, parents)
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body, place, parents)
        yield from texts(node.orelse, place, parents)
    else:
        text = written(node)
        if " " in text.strip():  # one word is a name, not a message
            yield text


def written(node: ast.expr) -> str:
    """A string as it stands in the source, ``{…}`` for what is filled in; else nothing."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            "{" + ast.unparse(part.value) + "}"
            if isinstance(part, ast.FormattedValue)
            else written(part)
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return written(node.left) + written(node.right)
    return ""


def messages() -> str:
    """The list, as the code has it now."""
    lines = []
    for path in sorted((ROOT / "dub_uplink").rglob("*.py")):
        found = sorted(set(told(ast.parse(path.read_text("utf-8")))))
        if found:
            shown = [f"  {kind}: {' '.join(text.split())}" for _, kind, text in found]
            lines += [path.relative_to(ROOT).as_posix(), *dict.fromkeys(shown), ""]
    return "\n".join(lines)


def test_error_messages_match_the_stored_list() -> None:
    listed = LIST.read_text("utf-8").splitlines()
    now = messages().splitlines()
    new = [line for line in now if line not in listed]
    gone = [line for line in listed if line not in now]
    assert (new, gone) == ([], []), (
        "read them as a user: what happened, why, what to do;"
        " then: python tests/docs/test_messages.py"
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
    assert {text for _, _, text in told(ast.parse(source))} == {
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
