"""Measure the share of mutants that the tests detect: ``tox -e mutation``.

    tox -e mutation                           # every mutant
    tox -e mutation -- retries --sample 60    # a fixed random sample of the mutants of a module

cosmic-ray changes one operator, number or condition at a time in a copy of this tree. The tests of
the module run in a forked process until one fails. Surviving mutants are printed as diffs. The exit
status is 1 if the tests of a module detect less than 90 % of its mutants.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("dub_uplink", "tests", "benchmarks", "setup.cfg", "tox.ini", "pyproject.toml")
REQUIRED_SHARE = 0.9
TIMEOUT = 120.0  # seconds; a mutant without an end counts as killed
#: The package uses this operator in annotations only, which are not evaluated.
SKIPPED_OPERATORS = "core/ReplaceBinaryOperator_BitOr_"
HEADS = ("---", "+++")
#: Third-party modules that are imported once for all mutants.
PRELOADED = "aiohttp hypothesis.strategies requests rich tenacity uplink uplink.clients marshmallow"
#: The tests of each module, fast tests first.
TESTS = {
    "retries": "unit/test_retries.py unit/_transport",
    "_transport/retry_state": "unit/_transport unit/test_retries.py",
    "_transport/retry_after": "unit/_transport",
    "_transport/errors": "unit/_transport/test_errors.py unit/models unit/_declarative",
    "_transport/client": "unit/_transport unit/test_client.py unit/_declarative"
    " integration/both_clients integration/faults integration/rate_limit/test_waiting.py",
    "_http/connection_errors": "unit/_http unit/_transport/test_errors.py",
    "_customers/schemas": "unit/_customers unit/_http/test_requests.py unit/models",
    "_customers/pages": "unit/_customers integration/batches_and_pages integration/both_clients",
    "_declarative/schema_compiler": "unit/_declarative unit/models",
}


@dataclasses.dataclass
class Score:
    """The results of the mutants of one module."""

    mutants: int
    tried: int
    survivors: list[str]

    @property
    def killed(self) -> float:
        """Return the share of killed mutants."""
        return 1 - len(self.survivors) / self.tried if self.tried else 0.0


def mutants_of(directory: Path, module: str) -> list[MutationSpec]:
    """Return the mutants of cosmic-ray in code that is evaluated."""
    with use_db(directory / f"{module.replace('/', '.')}.sqlite") as database:
        init([Path("dub_uplink", f"{module}.py")], database, {})
        specs = [item.mutations[0] for item in database.work_items]
    specs = [spec for spec in specs if not spec.operator_name.startswith(SKIPPED_OPERATORS)]
    return sorted(specs, key=lambda spec: (spec.start_pos, spec.operator_name, spec.occurrence))


def passes(module: str) -> bool:
    """Return whether the tests of a module pass in a fork, which imports the mutant again."""
    for stale in Path("dub_uplink", "__pycache__").glob(f"{module}.*"):
        stale.unlink()  # Python would reuse it for a mutant of the same length and second
    child = os.fork()
    if child == 0:
        os.setsid()
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        options = "-c tox.ini -p no:cacheprovider -p no:xdist -x -q --hypothesis-profile=ci"
        tests = [f"tests/{name}" for name in TESTS[module].split()]
        os._exit(int(pytest.main([*options.split(), *tests])))
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def mutate(directory: Path, module: str, sample: int | None) -> Score:
    """Test the mutants of a module in this copy of the tree."""
    if not passes(module):
        raise SystemExit(f"{module}: its tests fail without a mutant")
    mutants = selected = mutants_of(directory, module)
    if sample is not None:
        selected = random.Random(9).sample(mutants, min(sample, len(mutants)))
    survivors: list[str] = []
    for number, spec in enumerate(selected, 1):
        operator = get_operator(spec.operator_name)(**spec.operator_args)
        with use_mutation(spec.module_path, operator, spec.occurrence) as (before, after):
            if passes(module):
                lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="")
                survivors.append("\n".join(line for line in lines if line[:3] not in HEADS))
        if number % 10 == 0:
            log(f"{module}: {number} of {len(selected)}, {len(survivors)} survived")
    return Score(len(mutants), len(selected), survivors)


def main(arguments: list[str] | None = None) -> int:
    """Test the mutants of the selected modules and print the results."""
    parser = argparse.ArgumentParser(prog="tox -e mutation --", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", help=" ".join(TESTS))
    parser.add_argument("--sample", type=int, help="random mutants per module (default: all)")
    options = parser.parse_args(arguments)
    if unknown := set(options.modules) - set(TESTS):
        parser.error(f"unknown modules: {', '.join(sorted(unknown))}; known: {', '.join(TESTS)}")
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        ignored = shutil.ignore_patterns("__pycache__", ".venvs")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, directory / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, directory / name)
        os.chdir(directory)
        sys.path.insert(0, str(directory))
        for name in PRELOADED.split():
            importlib.import_module(name)
        for module in options.modules or TESTS:
            score = mutate(directory, module, options.sample)
            for diff in score.survivors:
                log(diff)
            log(
                f"{module}: {score.killed:.1%} of {score.tried} mutants killed"
                f" ({score.mutants} in total), {len(score.survivors)} survived"
            )
            failed = failed or score.killed < REQUIRED_SHARE
    return int(failed)


def log(text: str) -> None:
    """Print a line."""
    print(text, flush=True)  # noqa: T201 - the output of a command


if __name__ == "__main__":
    sys.exit(main())
