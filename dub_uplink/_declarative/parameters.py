"""uplink annotations that validate the arguments of endpoints and add them to requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

import uplink

from .._internal.config import merge_headers, timeout_seconds, validate_headers
from .._internal.naming import camel_case
from .._transport.call import OPTIONS_KEY
from ..models.unset import UNSET, Unset
from ..retries import RetryConfig
from .context import get_context
from .schemas import format_query_value

if TYPE_CHECKING:

    class _Typed:  # the signature of uplink's annotations without a name
        def __init__(self, type: Any = None) -> None: ...

    class _Named:  # the signature of uplink's annotations with a name
        name: Any

        def __init__(self, name: str | None = None, *, type: Any = None) -> None: ...

    class Body(_Typed):
        """The body of the request; see ``uplink.Body``."""

    class _Field(_Named):
        def modify_request(self, request_builder: Any, value: Any) -> None: ...

    _Header = _Named
    _HeaderMap = _Typed
    _Path = _Named
    _Query = _Named
    _QueryMap = _Typed

else:
    from uplink import Field as _Field
    from uplink import Header as _Header
    from uplink import HeaderMap as _HeaderMap
    from uplink import Path as _Path
    from uplink import Query as _Query
    from uplink import QueryMap as _QueryMap

    Body = uplink.Body


_CONTROL_CHARACTER = re.compile(r"[\0-\x1f\x7f]")
_TEMPLATE_VARIABLE = re.compile(r"\{\w+(?:\.\w+)*\}")
#: Matches a URL with a segment "." or "..". As in ``requests`` and many servers, "%2e" is a dot.
_DOT_SEGMENT = re.compile(r"(?:[^?#]*[/\\])?(?:\.|%2e){1,2}(?:[/\\?#]|$)", re.IGNORECASE)


class CallOptions(TypedDict, total=False):
    """The options of one call. Every operation accepts them as keyword arguments.

    Attributes:
        retries: a :class:`~dub_uplink.RetryConfig`, or ``None`` for no retries.
        timeout_ms: the time limit of one attempt, in milliseconds.
        http_headers: headers to send with the request.
        extra_query: query parameters that the operation does not declare, sent unchanged.
    """

    retries: RetryConfig | Unset | None
    timeout_ms: float | None
    http_headers: Mapping[str, str] | None
    extra_query: Mapping[str, Any] | None


class BodyOptions(CallOptions, total=False):
    """The :class:`CallOptions` of an operation that sends a JSON object.

    Attributes:
        extra_body: body fields that the operation does not declare, sent unchanged.
        timeout_ms: the time limit of one attempt, in milliseconds.
    """

    extra_body: Mapping[str, Any] | None


# The body of a TypedDict cannot set `__module__`.
CallOptions.__module__ = BodyOptions.__module__ = "dub_uplink.types"


class PathSegment(_Path):
    """A string argument that is sent as exactly one path segment."""

    __module__ = "dub_uplink.declare"

    _templates: tuple[str, ...] = ()
    #: The text before and after the variable. ``None`` if there are several variables or templates.
    _prefix_and_suffix: tuple[str, str] | None = None

    def modify_request_definition(self, request_definition_builder: Any) -> None:
        """Add the variable to the request's URI template."""
        uri = request_definition_builder.uri
        uri.add_variable(self.name)
        if uri.template not in self._templates:
            self._templates += (uri.template,)
        prefix, variable, suffix = self._templates[0].partition(f"{{{self.name}}}")
        is_only = variable and "{" not in prefix + suffix and len(self._templates) == 1
        self._prefix_and_suffix = (prefix, suffix) if is_only else None

    def modify_request(self, request_builder: Any, value: Any) -> None:
        segment = self.check(value)
        if self._prefix_and_suffix is None:
            request_builder.set_url_variable({self.name: segment})
        else:  # much faster than uplink's expansion of the template
            prefix, suffix = self._prefix_and_suffix
            request_builder.relative_url = prefix + quote(segment, safe="") + suffix

    def check(self, value: Any) -> str:
        """Return the value if it can be a path segment.

        Raises:
            ValueError: the value is not a string, or addresses another route, such as "..".
        """
        if not isinstance(value, str):
            raise ValueError(f"{self.name} must be a string, not {type(value).__name__}")
        if value in ("", ".", ".."):
            raise ValueError(f"{self.name} must not be {value!r}: it would address another route")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{self.name} contains an unpaired surrogate, which UTF-8 cannot encode: {value!r};"
                " remove it"
            ) from None
        return value


PathSegment.__name__ = PathSegment.__qualname__ = "Path"  # as declare exports it


class AnyPathSegment(PathSegment):
    """The replacement of an ``uplink.Path``; it converts numbers and other values to text."""

    def modify_request_definition(self, request_definition_builder: Any) -> None:
        """Do nothing, because the replaced annotation has already added the variable."""

    def check(self, value: Any) -> str:
        return super().check(value if value is None or isinstance(value, bytes) else str(value))


class RelativeUrl(uplink.Url):  # type: ignore[misc]  # uplink has no types
    """The replacement of an ``uplink.Url``; it validates the URL."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        """Set the URL of the request.

        Raises:
            ValueError: the URL contains a control character or a dot segment.
        """
        url = str(value)
        check_url(url)
        request_builder.relative_url = url


def check_url(url: str) -> None:
    """Check an absolute or relative URL of a request.

    Raises:
        ValueError: the URL contains a control character or a dot segment.
    """
    # urllib.parse removes control characters, so two dots with a tab between them become '..'.
    if _CONTROL_CHARACTER.search(url):
        raise ValueError("the URL contains a control character; percent-encode it")
    if _DOT_SEGMENT.match(url.strip()):
        raise ValueError("the URL has a segment '.' or '..'; leave it out")


def check_template(path: str | None, method: str) -> None:
    """Check that the variables of a URI template cannot address another route.

    Args:
        path: the URI template, or ``None`` for an endpoint with an ``uplink.Url``.
        method: the name of the endpoint, for the error message.

    Raises:
        TypeError: the template has an operator or a dot segment.
    """
    literal = _TEMPLATE_VARIABLE.sub("", path or "")
    if "{" in literal or "}" in literal:
        raise TypeError(
            f"{method}: the path {path!r} has a template operator, so an argument could address"
            " another route; write each variable as {name}"
        )
    if _DOT_SEGMENT.match(path or ""):
        raise TypeError(f"{method}: the path {path!r} has a segment '.' or '..'; leave it out")


class Query(_Query):
    """A query parameter in Dub's format; ``None`` is not sent.

    The default name is the argument's name in camelCase.
    """

    __module__ = "dub_uplink.declare"

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if value is not None and value is not UNSET:
            get_context(request_builder).params[self.name] = format_query_value(self.name, value)


class Field(_Field):
    """A field of a JSON body, by default with the argument's name; ``None`` is sent as ``null``.

    ``UNSET`` is not sent.
    """

    __module__ = "dub_uplink.declare"

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if value is not UNSET:
            super().modify_request(request_builder, value)


class Header(_Header):
    """A header; ``None`` is not sent."""

    __module__ = "dub_uplink.declare"

    def modify_request(self, request_builder: Any, value: Any) -> None:
        """Set the header.

        Raises:
            ValueError: the value is not valid in HTTP.
        """
        if value is not None and value is not UNSET:
            headers = {self.name: format_query_value(self.name, value)}
            add_headers(request_builder, headers, "a Header argument")


class HeaderMap(_HeaderMap):
    """A mapping of headers, or ``None``. A header with the value ``None`` is not sent."""

    __module__ = "dub_uplink.declare"

    def modify_request(self, request_builder: Any, value: Any) -> None:
        """Set the headers.

        Raises:
            TypeError: ``value`` is not a mapping.
            ValueError: a name or a value is not valid in HTTP.
        """
        if isinstance(value, Mapping):
            value = {
                name: format_query_value(name, each)
                for name, each in value.items()
                if each is not None and each is not UNSET
            }
        if value is not None and value is not UNSET:
            add_headers(request_builder, value, "a HeaderMap argument")


def add_headers(request_builder: Any, headers: Mapping[str, str], name: str) -> None:
    """Validate and add a call's headers. Each replaces the declared header with the same name.

    Args:
        request_builder: uplink's request.
        headers: the headers of the call.
        name: the name of the argument, for error messages.
    """
    context = get_context(request_builder)
    context.headers = merge_headers(context.headers, validate_headers(headers, name))


class Options(_QueryMap):
    """An argument ``**options`` that accepts only :class:`CallOptions` or :class:`BodyOptions`."""

    __module__ = "dub_uplink.declare"

    #: The name of the endpoint, for error messages.
    call = "the endpoint"

    def modify_request(self, request_builder: Any, value: Mapping[str, Any] | None) -> None:
        """Pass the options to the transport.

        Raises:
            TypeError: a keyword is not an option, or an option is of the wrong type.
        """
        for name in take_options(request_builder, {} if value is None else value):
            raise TypeError(f"{self.call}() got an unexpected keyword argument {name!r}")


class QueryMap(_QueryMap):
    """An argument ``**params`` that accepts query parameters and :class:`CallOptions`.

    The names of query parameters are sent in camelCase. A keyword replaces a ``Query`` argument
    that is sent with the same name.
    """

    __module__ = "dub_uplink.declare"

    #: The query parameters that the endpoint declares, in snake_case and camelCase.
    known: frozenset[str] = frozenset()

    def modify_request(self, request_builder: Any, value: Mapping[str, Any]) -> None:
        params = take_options(request_builder, value)
        if params:
            self.set_params(request_builder, params)

    def set_params(self, request_builder: Any, params: Mapping[str, Any]) -> None:
        """Add the parameters to the query."""
        for name, value in params.items():
            if value is not None:
                key = format_query_value("a query parameter", camel_case(name))
                get_context(request_builder).params[key] = format_query_value(name, value)


def take_options(request_builder: Any, keywords: Any) -> Mapping[str, Any]:
    """Pass the call options among the keywords to the transport; return the remaining keywords.

    Raises:
        TypeError: ``keywords`` is not a mapping, or an option is of the wrong type.
        ValueError: an option is out of range.
    """
    if not isinstance(keywords, Mapping):
        raise TypeError(f"call options must be a mapping, not {type(keywords).__name__}")
    other_keywords: dict[str, Any] = {}
    for name, value in keywords.items():
        set_option = _OPTION_SETTERS.get(name)
        if set_option is not None and value is not UNSET:
            set_option(request_builder, value)
            get_context(request_builder).options[name] = value
        elif value is not UNSET:
            other_keywords[name] = value
    return other_keywords


def check_retries(value: Any) -> None:
    """Check the call option ``retries``.

    Raises:
        TypeError: the value is neither a ``RetryConfig`` nor ``None``.
    """
    if value is not None and not isinstance(value, RetryConfig):
        raise TypeError(f"retries must be a RetryConfig or None, not {type(value).__name__}")


def _set_retries(request_builder: Any, value: Any) -> None:
    check_retries(value)
    request_builder.info[OPTIONS_KEY]["retries"] = value


def _set_timeout(request_builder: Any, value: Any) -> None:
    timeout_seconds(value, 1.0)
    if value is not None:
        request_builder.info[OPTIONS_KEY]["timeout_ms"] = value


def _set_headers(request_builder: Any, value: Any) -> None:
    if value is not None:
        add_headers(request_builder, value, "http_headers")


def _set_extra_query(request_builder: Any, value: Any) -> None:
    get_context(request_builder).extra_query = value


def _set_extra_body(request_builder: Any, value: Any) -> None:
    get_context(request_builder).extra_body = value


_OPTION_SETTERS = {
    "retries": _set_retries,
    "timeout_ms": _set_timeout,
    "http_headers": _set_headers,
    "extra_query": _set_extra_query,
    "extra_body": _set_extra_body,
}
