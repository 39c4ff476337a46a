"""How many small mistakes in the code the tests notice: ``tox -e mutation``.

    tox -e mutation                                # every mutant
    tox -e mutation -- retries hooks --sample 60   # so many of each, the same ones every time

cosmic-ray changes one operator, number or condition at a time in a copy of this tree, and the tests
of that module run until one fails, in a fork. Survivors are printed as diffs. Ends with status 1
where less than 90 % of a module's mutants are killed.
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
WANTED = 0.9
TIMEOUT = 120.0  # seconds; a mutant that never ends is a killed one
#: Only ever in annotations, which are not evaluated.
SKIPPED_OPERATORS = "core/ReplaceBinaryOperator_BitOr_"
HEADS = ("---", "+++")
#: Loaded once, for all mutants: what the package and its tests import of others.
LOADED = "aiohttp hypothesis.strategies requests rich tenacity uplink uplink.clients marshmallow"
#: The tests that are about a module, the fast ones first.
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
    """What became of a module's mutants."""

    mutants: int
    tried: int
    survivors: list[str]

    @property
    def killed(self) -> float:
        """The share that was noticed."""
        return 1 - len(self.survivors) / self.tried if self.tried else 0.0


def mutants_of(directory: Path, module: str) -> list[MutationSpec]:
    """What cosmic-ray would change, but for what is not run."""
    with use_db(directory / f"{module.replace('/', '.')}.sqlite") as database:
        init([Path("dub_uplink", f"{module}.py")], database, {})
        found = [item.mutations[0] for item in database.work_items]
    found = [spec for spec in found if not spec.operator_name.startswith(SKIPPED_OPERATORS)]
    return sorted(found, key=lambda spec: (spec.start_pos, spec.operator_name, spec.occurrence))


def passes(module: str) -> bool:
    """Whether a module's tests pass; in a fork, so that every mutant is imported again."""
    for stale in Path("dub_uplink", "__pycache__").glob(f"{module}.*"):
        stale.unlink()  # a mutant of the same length, made in the same second, would be taken so
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
    """Try a module's mutants in this copy of the tree."""
    if not passes(module):
        raise SystemExit(f"{module}: its tests fail without a mutant")
    mutants = chosen = mutants_of(directory, module)
    if sample is not None:
        chosen = random.Random(9).sample(mutants, min(sample, len(mutants)))
    survivors: list[str] = []
    for number, spec in enumerate(chosen, 1):
        operator = get_operator(spec.operator_name)(**spec.operator_args)
        with use_mutation(spec.module_path, operator, spec.occurrence) as (before, after):
            if passes(module):
                lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="")
                survivors.append("\n".join(line for line in lines if line[:3] not in HEADS))
        if number % 10 == 0:
            say(f"{module}: {number} of {len(chosen)}, {len(survivors)} survived")
    return Score(len(mutants), len(chosen), survivors)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tox -e mutation --", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", help=" ".join(TESTS))
    parser.add_argument("--sample", type=int, help="try so many of each module's (all)")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.modules) - set(TESTS):
        parser.error(f"not one of {', '.join(TESTS)}: {', '.join(sorted(unknown))}")
    missed = False
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
        for name in LOADED.split():
            importlib.import_module(name)
        for module in chosen.modules or TESTS:
            score = mutate(directory, module, chosen.sample)
            for diff in score.survivors:
                say(diff)
            say(
                f"{module}: {score.killed:.1%} of {score.tried} mutants killed"
                f" ({score.mutants} in all), {len(score.survivors)} survived"
            )
            missed = missed or score.killed < WANTED
    return int(missed)


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command's own output


if __name__ == "__main__":
    sys.exit(main())
