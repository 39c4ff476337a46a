"""Test the package with the base dependencies only; imports of other distributions are blocked."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

# Simulates an environment without the named top-level modules.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
BLOCKED = frozenset(%r)
sys.meta_path.insert(0, Blocker())
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_with(extra: str) -> set[str]:
    """Return the distributions of dub-uplink with an extra; ``""`` stands for no extra."""
    found: set[str] = set()
    queue = [canonical("dub-uplink")]
    while queue:
        name = queue.pop()
        if name in found:
            continue
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:  # a dependency for another platform or Python
            continue
        found.add(name)
        asked_for = f'extra == "{extra}"' if name == "dub-uplink" and extra else ""
        queue += [
            canonical(re.split(r"[^A-Za-z0-9._-]", line)[0])
            for line in requires
            if "extra ==" not in line or (asked_for and asked_for in line)
        ]
    return found


def top_level_modules(found: Distribution) -> set[str]:
    # Some wheels have no top_level.txt.
    names = {file.parts[0] for file in found.files or [] if file.suffix in {".py", ".so"}}
    return {name.partition(".")[0] for name in names}


def run_with(extra: str, code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    base = installed_with(extra)
    needed: set[str] = set()
    others: set[str] = set()
    for found in distributions():
        (needed if canonical(found.name) in base else others).update(top_level_modules(found))
    blocked = sorted(others - needed)
    assert {"werkzeug", "pytest"} <= set(blocked)
    assert {"click", "rich"} <= set(needed if extra == "cli" else blocked)
    return subprocess.run(
        [sys.executable, "-c", BLOCKER % (blocked,) + code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )


def test_package_imports_with_base_dependencies_only(tmp_path: Path) -> None:
    done = run_with(
        "",
        "import dub_uplink, dub_uplink._cli, dub_uplink.utils\n"
        "from dub_uplink.models import components, errors, operations",
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_command_without_cli_extra_prints_the_install_command(tmp_path: Path) -> None:
    done = run_with("", "from dub_uplink._cli import main; main()", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert 'pip install "dub-uplink[cli]"' in done.stderr
    assert "needs click and rich;" in done.stderr


def test_command_needs_only_the_cli_extra(tmp_path: Path) -> None:
    done = run_with(
        "cli",
        "import dub_uplink._cli.commands, dub_uplink._cli.demo.command, dub_uplink._cli.serve\n"
        "import dub_uplink._cli.customers.read, dub_uplink._cli.customers.write\n"
        "import dub_uplink._cli.completion\n"
        "from dub_uplink import Dub\n"
        "from dub_uplink.testing import FakeDub\n"
        "with FakeDub().serve() as url, Dub('dub_test', server_url=url) as s:\n"
        "    assert s.customers.list() == []",
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_pytest_starts_without_werkzeug(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    code = (
        "import sys\n"
        "class NoWerkzeug:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'werkzeug':\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, NoWerkzeug())\n"
        "import pytest\n"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_import_loads_neither_extras_nor_the_fake(tmp_path: Path) -> None:
    code = (
        "import sys, dub_uplink\n"
        "print(sorted({'click', 'rich', 'werkzeug', 'dub_uplink.testing'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"
