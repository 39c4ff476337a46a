"""Link each promise of ``SECURITY.rst`` with the tests that check it.

``docs/promises.rst`` has the table of both. Regenerate it after a change of promises or tests::

    python tests/docs/test_security.py
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "promises.rst"
PROMISE = re.compile(r"^``([a-z-]+)``$", re.MULTILINE)


def promises() -> list[str]:
    """Return the names of the promises, in the order of the document."""
    return PROMISE.findall((ROOT / "SECURITY.rst").read_text(encoding="utf-8"))


def marked_tests() -> Iterator[tuple[str, str]]:
    """Yield the promise and the path of each test with the marker."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(
                    "mark.promise"
                ):
                    name = ast.literal_eval(decorator.args[0])
                    yield name, f"{path.relative_to(ROOT).as_posix()}::{node.name}"


def table() -> str:
    """Return the table of promises and their tests as reStructuredText."""
    tests = list(marked_tests())
    lines = [".. list-table::", "   :header-rows: 1", "", "   * - Promise", "     - Tests"]
    for name in promises():
        lines.append(f"   * - ``{name}``")
        found = [test for promise, test in tests if promise == name]
        lines += [f"     {'- ' if n == 0 else '  '}| ``{test}``" for n, test in enumerate(found)]
    return "\n".join(lines) + "\n"


def test_security_promise_has_a_test() -> None:
    checked = {name for name, _ in marked_tests()}
    assert len(promises()) == len(set(promises())) > 20
    assert [name for name in promises() if name not in checked] == []


def test_promise_marker_names_an_existing_promise() -> None:
    unknown = [(name, test) for name, test in marked_tests() if name not in promises()]
    assert unknown == []


def test_each_safety_test_file_checks_a_documented_promise() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("tests/**/safety/test_*.py")}
    assert files <= {test.partition("::")[0] for _, test in marked_tests()}


def test_promise_table_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table()


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
