"""Configure Sphinx; a build needs no network. ``tox -e docs`` runs it."""

from __future__ import annotations

import dub_uplink

project = "dub-uplink"
author = "The dub_uplink authors"
copyright = "the dub_uplink authors"  # noqa: A001 - Sphinx's name for it
version = release = dub_uplink.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_design"]
exclude_patterns = ["_build", "promises.rst"]
# Blocks without a language are shell sessions or text.
highlight_language = "none"
html_theme = "furo"
html_title = f"dub-uplink {release}"
html_show_sphinx = False
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
python_maximum_signature_line_length = 88
# The text of a link is the name without its module, as in a signature.
python_use_unqualified_type_names = True

# Names of other projects are not linked, because each build would need to fetch an inventory.
_FOREIGN = (
    "abc|aiohttp|asyncio|builtins|collections|datetime|dt|enum|marshmallow|requests|sqlite3|types|typing"
    "|uplink|urllib3|werkzeug"
)
_BUILTIN = (
    r"bool|bytes|dict|dict\[str|Mapping\[str|float|frozenset|int|list|None|object|set|str|tuple|type|Exception"
    "|ImportError|OSError|RuntimeError|TypeError|ValueError"
)
_TYPING = (
    "Any|AsyncIterator|Awaitable|Callable|ClassVar|Final|Generator|Iterable|Iterator|Literal|Mapping"
    "|MutableMapping|Sequence|TracebackType|datetime|optional"
)
_INTERNAL = "A|C|P|R|T|Query|Traversal|OnRetry|App|Server|FakeClock|Delivery|FakeResponse"
nitpick_ignore_regex = [
    ("py:.*", rf"({_FOREIGN})\..*"),
    ("py:.*", f"{_BUILTIN}|{_TYPING}"),
    # Type variables, and aliases of the package, which have no page.
    ("py:.*", rf"(dub_uplink\.[\w.]+\.)?({_INTERNAL})"),
]
linkcheck_anchors = False
linkcheck_timeout = 20
