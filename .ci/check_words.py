#!/usr/bin/env python3
"""Report words that have a plainer or more exact term: ``python .ci/check_words.py FILE ...``.

Without arguments it checks the files that git tracks.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

#: A regular expression for each word, and the term to use instead.
WORDS = {
    r"a good many": "many",
    r"above all": "especially",
    r"afresh|anew": "again",
    r"all the same": "nevertheless, or nothing",
    r"as it came": "unchanged",
    r"(?:came|comes?) to": "is, results in",
    r"errands?": "worker, job",
    r"fares?": "name the result",
    r"for ever": "without a timeout",
    r"heed(?:s|ed|ing)?": "apply, report",
    r"in (?:its|their) turn": "nothing",
    r"in vain": "without success",
    r"lest": "so that … not",
    r"naught|nought": "nothing, zero",
    r"none the (?:less|worse)": "nevertheless",
    r"of (?:ours|yours)": "name the owner: the client's, your own",
    r"rooms": "package, module",
    r"save for": "except",
    r"sharers?": "processes",
    r"strangers?": "other clients",
    r"somebody": "name the subject: a caller",
    r"time-outs?": "timeout",
    r"troubles?": "error, failure",
    r"whoever": "name the subject: a caller",
}
#: The same for all files except the tests, which have variables of these names.
WORDS_OUTSIDE_TESTS = {
    r"answer(?:s|ed|ing)?": "response",
    r"told": "pass, report",
}
CHECKED = {".cff", ".cfg", ".ini", ".py", ".rst", ".toml", ".yaml", ".yml"}


def problems(path: Path) -> list[str]:
    """Return a line for each word of a file that should be replaced."""
    words = dict(WORDS)
    if path.parts[0] != "tests" and path.parts[:2] != ("benchmarks", "results"):
        words |= WORDS_OUTSIDE_TESTS
    patterns = [
        (re.compile(rf"\b(?:{word})\b", re.IGNORECASE), term) for word, term in words.items()
    ]
    return [
        f"{path}:{number}: {match[0]!r}: use {term}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for pattern, term in patterns
        for match in pattern.finditer(line)
    ]


def check(names: list[str]) -> str | None:
    """Return a line for each word that should be replaced, or ``None``."""
    if not names:
        listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
        names = listed.stdout.splitlines()
    paths = [Path(name) for name in names]
    own = Path(".ci") / Path(__file__).name
    found = [
        problem
        for path in paths
        if path.suffix in CHECKED and path != own and path.exists()
        for problem in problems(path)
    ]
    return "\n".join(found) or None


if __name__ == "__main__":
    sys.exit(check(sys.argv[1:]))  # status 1 with a message, else 0
