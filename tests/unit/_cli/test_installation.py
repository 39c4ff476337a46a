"""Test the checks of the doctor without a network: versions and environment variables."""

from __future__ import annotations

import os
import re
from importlib import metadata
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dub_uplink._cli.doctor import installation as findings
from dub_uplink._cli.doctor.installation import hide_credentials, redact_secrets, satisfies_bounds

SECRET = "s3cr3t"

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
schemes = st.sampled_from(["http://", "https://", "socks5h://", "", "HTTP://", "ftp://", "a:"])


@given(scheme=schemes, before=texts, after=texts, encoded=st.booleans())
@example(scheme="http://", before="me:12/", after="://", encoded=False)
@example(scheme="", before="", after="", encoded=False)
@example(scheme="http://", before="", after=",", encoded=False)
def test_environment_findings_hide_credentials(
    scheme: str, before: str, after: str, encoded: bool
) -> None:
    credentials = f"{before}{SECRET}{after}"
    if encoded:
        credentials = quote(credentials, safe=":")
    value = f"{scheme}{credentials}@proxy.example:3128"
    names = ("HTTPS_PROXY", "http_proxy", "ALL_PROXY", "NO_PROXY", "DUB_SERVER_URL")
    variables = {**dict.fromkeys(names, value), "DUB_API_KEY": credentials, "NETRC": os.devnull}
    for finding in findings.check_environment(variables):
        assert SECRET not in finding.value + finding.hint, finding


@given(value=st.text())
def test_hide_credentials_returns_only_plain_urls(value: str) -> None:
    shown = hide_credentials(value)
    assert re.fullmatch(r"[\w.:/@*\[\]-]+", shown) or shown == "(not a valid URL; not shown)"


@given(before=st.text(), secret=st.text(min_size=4), after=st.text())
def test_redact_secrets_removes_a_secret_at_any_position(
    before: str, secret: str, after: str
) -> None:
    shown = redact_secrets(f"{before}{secret}{after}", ["", secret])
    assert secret not in shown or secret in "***"


@pytest.mark.parametrize(
    ("version", "bounds", "expected"),
    [
        ("3.12", ">=3.12", True),
        ("3.12.0", ">=3.12", True),
        ("3.11.9", ">=3.12", False),
        ("3.9", ">=3.12", False),
        ("0.10.0", "<0.11,>=0.10", True),
        ("0.11.0", "<0.11,>=0.10", False),
        ("8.4.1rc1", ">=8.4.1", True),
        ("10.0.post1", ">=9.9.9", True),
        ("1.0", "==1", True),
        ("1.0", "!=1.0.0", False),
        ("nonsense", ">=1", False),
        ("1", "", True),
    ],
)
def test_version_is_compared_with_requirement_bounds(
    version: str, bounds: str, expected: bool
) -> None:
    assert satisfies_bounds(version, bounds) is expected


def test_every_requirement_is_parsed() -> None:
    for requirement in metadata.requires("dub-uplink") or []:
        if 'extra == "dev"' in requirement:
            continue
        found = findings._REQUIREMENT_PATTERN.match(requirement)
        assert found is not None
        assert findings._BOUND_PATTERN.sub("", found[2]).strip(" ,") == ""
        assert (found[3] is not None) == ("extra" in requirement)


def test_check_passes_for_a_missing_extra_but_not_for_a_package() -> None:
    extra = findings._check_package('none_such>=1; extra == "parquet"')
    assert (extra.value, extra.code) == (
        'not installed (optional; pip install --upgrade "dub-uplink[parquet]")',
        0,
    )
    base = findings._check_package("none_such>=1")
    assert (base.value, base.code) == ("not installed", 1)
    assert base.hint == "pip install dub-uplink"
