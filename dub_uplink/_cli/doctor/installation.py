"""Check the installed versions and the environment variables. No check uses the network."""

from __future__ import annotations

import operator
import os
import platform
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from typing import NamedTuple
from urllib.parse import urlsplit

from dub_uplink import __version__
from dub_uplink._cli.failures import ExitCode

#: Environment variables that ``requests`` reads. The lower-case name of a variable has precedence.
_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
#: Each variable names a file of trusted certificates. ``requests`` reads the first that is set.
_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The credentials end at the last `@`, because a password may contain an unencoded `@` or slash.
_URL_PATTERN = re.compile(
    r"(?P<scheme>(?:https?|socks[45][ah]?)://)?(?P<credentials>.*@)?"
    r"(?P<host>\[[\da-f:.]+\]|[\w.-]+)(?P<port>:\d{1,5})?(?:[/?#].*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_NO_PROXY_HOST_PATTERN = re.compile(r"[\w.:*\[\]/-]+", re.ASCII)


class Finding(NamedTuple):
    """A line of the report.

    Attributes:
        section: the heading above the line.
        name: what was checked.
        value: what was detected.
        code: the exit code; 0 if the check passed.
        hint: what to do or to know; may be empty.
    """

    section: str
    name: str
    value: str
    code: ExitCode = ExitCode.DONE
    hint: str = ""


def check_packages() -> Iterator[Finding]:
    """Yield the versions of Python and the dependencies. Check each dependency's version."""
    section = "Installed"
    yield Finding(section, "dub-uplink", __version__)
    python = f"{platform.python_version()} ({platform.python_implementation()})"
    yield Finding(section, "Python", python)
    yield Finding(section, "platform", platform.platform())
    yield Finding(section, "TLS", ssl.OPENSSL_VERSION)
    try:
        requirements = metadata.requires("dub-uplink") or []
    except metadata.PackageNotFoundError:
        hint = "dub-uplink runs from its sources, so versions are not checked"
        yield Finding(section, "metadata", "not found", hint=hint)
        requirements = []
    # The extra `dev` lists tools that only contributors need.
    required = [requirement for requirement in requirements if 'extra == "dev"' not in requirement]
    packages = [_check_package(requirement) for requirement in required]
    yield from {package.name: package for package in packages}.values()
    yield Finding(section, "urllib3", _get_version("urllib3") or "not installed")
    yield Finding(section, "certifi", _get_version("certifi") or "not installed")
    twisted = _get_version("Twisted")
    if twisted is not None:
        hint = "importing uplink installs the default reactor; install another reactor first"
        yield Finding(section, "Twisted", twisted, hint=hint)


_REQUIREMENT_PATTERN = re.compile(r"([\w.-]+)\s*([^;]*)(?:;.*extra\s*==\s*[\"']([\w-]+))?")
_BOUND_PATTERN = re.compile(r"([<>=!]=?)\s*([\d.]+)")
_OPERATORS = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


def _check_package(requirement: str) -> Finding:
    """Check one requirement, such as ``aiohttp>=3.12; extra == "aiohttp"``."""
    match = _REQUIREMENT_PATTERN.match(requirement)
    assert match is not None
    name, bounds, extra = match[1], match[2].strip(), match[3]
    install = f'pip install --upgrade "dub-uplink[{extra}]"' if extra else "pip install dub-uplink"
    version = _get_version(name)
    if version is None:
        code = ExitCode.DONE if extra else ExitCode.FAILED
        note = f"not installed (optional; {install})" if extra else "not installed"
        return Finding("Installed", name, note, code, "" if extra else install)
    if not satisfies_bounds(version, bounds):
        value = f"{version}, but {bounds} is required"
        return Finding("Installed", name, value, ExitCode.FAILED, f'pip install "{name}{bounds}"')
    return Finding("Installed", name, version)


def _get_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def satisfies_bounds(version: str, bounds: str) -> bool:
    """Return whether a version satisfies bounds such as ``>=0.10,<0.11``."""
    release = _parse_release(version)
    return all(
        _OPERATORS[sign](release, _parse_release(bound))
        for sign, bound in _BOUND_PATTERN.findall(bounds)
    )


def _parse_release(version: str) -> list[int]:
    numbers = [int(n) for n in re.findall(r"\d+", re.split(r"[^\d.]", version, maxsplit=1)[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()  # 1.0 equals 1
    return numbers


def check_environment(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings on the environment variables that affect a client, without secrets."""
    section = "Environment"
    yield Finding(section, "DUB_API_KEY", "set" if variables.get("DUB_API_KEY") else "not set")
    server = variables.get("DUB_SERVER_URL", "")
    yield Finding(section, "DUB_SERVER_URL", hide_credentials(server) if server else "not set")
    proxies = [
        name
        for upper_name in _PROXY_VARIABLES
        for name in (upper_name.lower(), upper_name)
        if variables.get(name)
    ]
    for name in proxies:
        yield Finding(section, name, hide_credentials(variables[name]))
    if not proxies:
        yield Finding(section, "proxies", "none")
    for name in ("no_proxy", "NO_PROXY"):
        if variables.get(name):
            hosts = [host.strip() for host in variables[name].split(",")]
            # The split also divides a password that contains a comma. Therefore, if the value
            # contains an @, mask all hosts.
            has_credentials = "@" in variables[name]
            masked_hosts = ",".join(
                "***" if has_credentials or not _NO_PROXY_HOST_PATTERN.fullmatch(host) else host
                for host in hosts
            )
            yield Finding(section, name, masked_hosts)
    yield from _check_bundles(variables)
    netrc = [variables.get("NETRC", "")] if variables.get("NETRC") else ["~/.netrc", "~/_netrc"]
    if any(os.path.isfile(os.path.expanduser(path)) for path in netrc):
        yield Finding(section, ".netrc", "exists; ignored")


def _check_bundles(variables: Mapping[str, str]) -> Iterator[Finding]:
    section = "Environment"
    for name in _BUNDLE_VARIABLES:
        path = variables.get(name)
        if not path:
            continue
        if os.path.exists(path):  # Path.exists raises an error if the name is too long
            hint = "" if variables.get("SSL_CERT_FILE") else "AsyncDub reads SSL_CERT_FILE instead"
            yield Finding(section, name, _shorten_home(path), hint=hint)
        else:
            hint = f"no certificate can be verified: unset or correct {name}"
            yield Finding(
                section, name, f"{_shorten_home(path)} does not exist", ExitCode.NETWORK, hint
            )
    if variables.get("SSL_CERT_FILE") and not any(
        variables.get(name) for name in _BUNDLE_VARIABLES
    ):
        hint = "Dub does not read SSL_CERT_FILE; set REQUESTS_CA_BUNDLE to the same file"
        yield Finding(section, "SSL_CERT_FILE", "set; read by AsyncDub only", hint=hint)


def _shorten_home(path: str) -> str:
    """Replace the home directory in a path with ``~``, to hide the name of the user."""
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path


def hide_credentials(url: str) -> str:
    """Return the scheme, host and port of a URL, or a placeholder if the text is not a URL."""
    match = _URL_PATTERN.fullmatch(url.strip())
    if match is None:
        return "(not a valid URL; not shown)"
    mask = "***@" if match["credentials"] else ""
    return f"{match['scheme'] or ''}{mask}{match['host']}{match['port'] or ''}"


def parse_host_and_port(url: str) -> tuple[str, int] | None:
    """Return the host and port of a URL; ``None`` if the URL is invalid.

    A URL is also invalid if ``urlsplit`` and ``_URL_PATTERN`` find different hosts.
    """
    match = _URL_PATTERN.fullmatch(url.strip())
    try:
        parts = urlsplit(url.strip() if "://" in url else f"http://{url.strip()}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if match is None or host != match["host"].strip("[]").lower():
        return None
    return host, port or {"https": 443, "http": 80}.get(parts.scheme, 1080)


def find_url_credentials(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield ``user:password`` and the password of each URL in the environment variables."""
    for name in (*_PROXY_VARIABLES, *(name.lower() for name in _PROXY_VARIABLES), "DUB_SERVER_URL"):
        match = _URL_PATTERN.fullmatch(variables.get(name, "").strip())
        if match is not None and match["credentials"]:
            yield match["credentials"][:-1]
            yield match["credentials"][:-1].partition(":")[2]


#: Secrets with fewer characters are not replaced, because they also match parts of words.
_MIN_SECRET_LENGTH = 4
_API_KEY_PATTERN = re.compile(r"\bdub_\w{6,}")


def redact_secrets(text: str, secrets: Iterable[str]) -> str:
    """Replace the secrets, and all text that looks like a Dub API key, with ``***``."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _MIN_SECRET_LENGTH:
            text = text.replace(secret, "***")
    return _API_KEY_PATTERN.sub("***", text)
