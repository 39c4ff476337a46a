"""How many small mistakes in the code the tests notice: ``tox -e mutation``.

    tox -e mutation                                # every mutant, some hours
    tox -e mutation -- retries hooks --sample 60   # so many of each, the same ones every time

cosmic-ray changes one operator, number or condition at a time in a copy of this tree, and the tests
of that module run until one fails. Survivors are printed as diffs. Ends with status 1 where less
than 90 % of a module's mutants are killed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("dub_uplink", "tests", "benchmarks", "setup.cfg", "tox.ini", "pyproject.toml")
WANTED = 0.9
TIMEOUT = 120.0  # seconds; a mutant that never ends is a killed one
#: Only ever in annotations, which are not evaluated.
SKIPPED_OPERATORS = "core/ReplaceBinaryOperator_BitOr_"
#: The tests that are about a module, the fast ones first.
TESTS = {
    "retries": "unit/test_attempts.py unit/test_retries_after.py unit/test_retries_backoff.py"
    " properties/test_retries_properties.py",
    "hooks": "unit/test_hooks.py unit/test_retries_sent.py unit/test_errors.py"
    " properties/test_wire.py",
    "schemas": "unit/test_schemas.py unit/test_requests.py unit/test_models.py unit/test_ids.py"
    " unit/test_listing.py pagination/test_list.py unit/test_codec.py",
    "codec": "unit/test_codec_flags.py unit/test_codec.py unit/test_models.py"
    " properties/test_codec.py",
    "pagination": "unit/test_pages.py pagination/test_list.py both/test_operations.py"
    " pagination/test_iterate.py",
    "transport": "unit/test_logging.py unit/test_lifetime.py both faults/test_statuses.py"
    " faults/test_exactly_once.py faults/test_deadline.py unit/test_configuration.py"
    " unit/test_subclassing.py",
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


def configure(directory: Path, module: str) -> Path:
    """The configuration of cosmic-ray for a module."""
    tests = " ".join(
        f"tests/{name}" for name in TESTS[module].split() if (directory / "tests" / name).exists()
    )
    command = (
        f"{sys.executable} -m pytest -c tox.ini -p no:cacheprovider -x -q"
        f" --hypothesis-profile=ci {tests}"
    )
    config = directory / f"{module}.toml"
    config.write_text(
        "[cosmic-ray]\n"
        f'module-path = "dub_uplink/{module}.py"\n'
        f"timeout = {TIMEOUT}\n"
        "excluded-modules = []\n"
        f"test-command = {json.dumps(command)}\n"
        '[cosmic-ray.distributor]\nname = "local"\n',
        encoding="utf-8",
    )
    return config


def choose(database: WorkDB, sample: int | None) -> tuple[int, int]:
    """Leave out what is no mutant of running code, and all but a sample: how many there are."""
    items = sorted(database.work_items, key=lambda item: str(item.mutations[0]))
    mutants = [i for i in items if not i.mutations[0].operator_name.startswith(SKIPPED_OPERATORS)]
    chosen = mutants
    if sample is not None:
        chosen = random.Random(9).sample(mutants, min(sample, len(mutants)))
    kept = {item.job_id for item in chosen}
    for item in items:
        if item.job_id not in kept:
            database.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
    return len(mutants), len(chosen)


def survivors(database: WorkDB) -> Iterator[str]:
    """The diffs that no test noticed."""
    for _, result in database.completed_work_items:
        if result.test_outcome == TestOutcome.SURVIVED:
            yield "\n".join(line for line in (result.diff or "").splitlines() if line)


def mutate(directory: Path, module: str, sample: int | None) -> Score:
    """Try a module's mutants in this copy of the tree."""
    config, session = configure(directory, module), directory / f"{module}.sqlite"
    tool = shutil.which("cosmic-ray", path=str(Path(sys.executable).parent)) or "cosmic-ray"
    environment = {
        **os.environ,
        "PYTHONPATH": str(directory),
        # A mutant of the same length, written in the same second, would be taken from the cache.
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def run(*arguments: object) -> None:
        command = [tool, *map(str, arguments)]
        subprocess.run(command, cwd=directory, env=environment, check=True)

    run("baseline", config)
    run("init", config, session)
    with use_db(session) as database:
        mutants, tried = choose(database, sample)
    run("exec", config, session)
    with use_db(session) as database:
        return Score(mutants, tried, list(survivors(database)))


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
