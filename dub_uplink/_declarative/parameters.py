"""uplink annotations that check the arguments of endpoints and write them into requests."""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

import uplink

from .._internal.config import merge_headers, timeout_seconds, validate_headers
from .._internal.naming import camel_case
from .._transport.call import OPTIONS
from ..models.unset import UNSET, Unset
from ..retries import RetryConfig
from .context import context_of
from .schemas import moment_text

if TYPE_CHECKING:

    class _Typed:
        """What a type checker sees of uplink's annotations, which have no types."""

        def __init__(self, type: Any = None) -> None: ...

    class _Named:
        """What a type checker sees of uplink's annotations with a name."""

        name: Any

        def __init__(self, name: str | None = None, *, type: Any = None) -> None: ...

    class Body(_Typed):
        """The body of the request; see ``uplink.Body``."""

    class Field(_Named):
        """A field of the body; see ``uplink.Field``."""

    class _Header(_Named): ...

    class _HeaderMap(_Typed): ...

    class _Path(_Named): ...

    class _Query(_Named): ...

    class _QueryMap(_Typed): ...

else:
    from uplink import Header as _Header
    from uplink import HeaderMap as _HeaderMap
    from uplink import Path as _Path
    from uplink import Query as _Query
    from uplink import QueryMap as _QueryMap

    Body = uplink.Body
    Field = uplink.Field


_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_VARIABLE = re.compile(r"\{\w+(?:\.\w+)*\}")
#: "%2e" is a dot to requests and to many servers.
_DOT_SEGMENT = re.compile(r"(?:[^?#]*[/\\])?(?:\.|%2e){1,2}(?:[/\\?#]|$)", re.IGNORECASE)


class CallOptions(TypedDict, total=False):
    """The options of one call, which every operation takes by keyword.

    ``retries`` is a :class:`~dub_uplink.RetryConfig`, or ``None`` for no retries. ``timeout_ms``
    are the milliseconds that one attempt may take. ``http_headers`` are sent with the request.
    """

    retries: RetryConfig | Unset | None
    timeout_ms: float | None
    http_headers: Mapping[str, str] | None


CallOptions.__module__ = "dub_uplink.types"  # a TypedDict has no place for it in its body


class PathSegment(_Path):
    """A string that is sent as exactly one segment of the path."""

    __module__ = "dub_uplink.declare"

    #: The paths that this annotation is a variable of, and what surrounds it if it is one path's
    #: only variable.
    _paths: tuple[str, ...] = ()
    _around: tuple[str, str] | None = None

    def modify_request_definition(self, request_definition_builder: Any) -> None:
        """Register the variable with the path."""
        uri = request_definition_builder.uri
        uri.add_variable(self.name)
        if uri.template not in self._paths:
            self._paths += (uri.template,)
        before, variable, after = self._paths[0].partition(f"{{{self.name}}}")
        is_only = variable and "{" not in before + after and len(self._paths) == 1
        self._around = (before, after) if is_only else None

    def modify_request(self, request_builder: Any, value: Any) -> None:
        segment = self.check(value)
        if self._around is None:
            request_builder.set_url_variable({self.name: segment})
        else:  # expanding the template takes longer than aiohttp's own work on a URL
            before, after = self._around
            request_builder.relative_url = before + quote(segment, safe="") + after

    def check(self, value: Any) -> str:
        """Return the value.

        Raises:
            ValueError: it is no string, or another route with it.
        """
        if not isinstance(value, str):
            raise ValueError(f"{self.name} must be a string, not {type(value).__name__}")
        if value in ("", ".", ".."):
            # An empty id would be the list, dots other routes altogether.
            raise ValueError(f"{self.name} must not be {value!r}: it would address another route")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{self.name} contains an unpaired surrogate, which UTF-8 cannot encode: {value!r}"
            ) from None
        return value


PathSegment.__name__ = PathSegment.__qualname__ = "Path"  # as declare exports it


class AnyPathSegment(PathSegment):
    """The replacement of an ``uplink.Path``, which takes numbers and other values, too."""

    def modify_request_definition(self, request_definition_builder: Any) -> None:
        """Do nothing: the annotation in whose place it is has registered the variable."""

    def check(self, value: Any) -> str:
        return super().check(value if value is None or isinstance(value, bytes) else str(value))


class RelativeUrl(uplink.Url):  # type: ignore[misc]  # uplink has no types
    """The replacement of an ``uplink.Url``, which takes no path with dot segments."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        """Set the URL of the request.

        Raises:
            ValueError: it has a control character, or a dot segment: it would be another route.
        """
        url = str(value)
        check_url(url)
        request_builder.relative_url = url


def check_url(url: str) -> None:
    """Check the URL of a request, absolute or relative.

    Raises:
        ValueError: it has a control character, or a dot segment: it would be another route.
    """
    if _CONTROL.search(url):  # urllib.parse leaves some out, between two dots as well
        raise ValueError("the URL holds a control character; percent-encode it")
    if _DOT_SEGMENT.match(url.strip()):
        raise ValueError("the URL has a segment '.' or '..', which would be another route")


def check_template(path: str | None, method: str) -> None:
    """Check that each variable of a path is one segment or a part of one.

    Args:
        path: the URI template, ``None`` for an endpoint with an ``uplink.Url``.
        method: the name of the endpoint, for the error.

    Raises:
        TypeError: the template has an operator, or a dot segment.
    """
    literal = _VARIABLE.sub("", path or "")
    if "{" in literal or "}" in literal:
        raise TypeError(
            f"{method}: the path {path!r} has a template operator, by which an argument could be"
            " another route; write each variable as {name}"
        )
    if _DOT_SEGMENT.match(path or ""):
        raise TypeError(f"{method}: the path {path!r} has a segment '.' or '..'; leave it out")


class Query(_Query):
    """A query parameter as Dub reads it; ``None`` is not sent.

    Without a name it has that of its argument, in camelCase.
    """

    __module__ = "dub_uplink.declare"

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if value is not None and value is not UNSET:
            context_of(request_builder).params[self.name] = query_text(self.name, value)


class Header(_Header):
    """A header; ``None`` is not sent."""

    __module__ = "dub_uplink.declare"

    def modify_request(self, request_builder: Any, value: Any) -> None:
        """Set the header.

        Raises:
            ValueError: HTTP does not allow the value.
        """
        if value is not None and value is not UNSET:
            add_headers(
                request_builder, {self.name: query_text(self.name, value)}, "a Header argument"
            )


class HeaderMap(_HeaderMap):
    """A mapping of headers, or ``None``. A value of ``None`` is not sent."""

    __module__ = "dub_uplink.declare"

    def modify_request(self, request_builder: Any, value: Any) -> None:
        """Set the headers.

        Raises:
            TypeError: ``value`` is no mapping.
            ValueError: HTTP does not allow a name or a value.
        """
        if isinstance(value, Mapping):
            value = {
                name: query_text(name, each)
                for name, each in value.items()
                if each is not None and each is not UNSET
            }
        if value is not None and value is not UNSET:
            add_headers(request_builder, value, "a HeaderMap argument")


def add_headers(request_builder: Any, headers: Mapping[str, str], name: str) -> None:
    """Set headers of the call, over those that are declared.

    Args:
        request_builder: uplink's request.
        headers: are checked.
        name: the argument, for error messages.
    """
    context = context_of(request_builder)
    context.headers = merge_headers(context.headers, validate_headers(headers, name))


class Options(_QueryMap):
    """The argument ``**options`` of an endpoint: the :class:`CallOptions` alone."""

    __module__ = "dub_uplink.declare"

    #: The endpoint, for errors.
    call = "the endpoint"

    def modify_request(self, request_builder: Any, value: Mapping[str, Any] | None) -> None:
        """Hand the options to the transport.

        Raises:
            TypeError: there is another keyword, or an option is of the wrong type.
        """
        for name in take_options(request_builder, value or {}):
            raise TypeError(f"{self.call}() got an unexpected keyword argument {name!r}")


class QueryMap(_QueryMap):
    """The argument ``**params`` of an endpoint: query parameters and the :class:`CallOptions`.

    The names of parameters are sent in camelCase.
    """

    __module__ = "dub_uplink.declare"

    def modify_request(self, request_builder: Any, value: Mapping[str, Any]) -> None:
        params = take_options(request_builder, value)
        if params:
            self.set_params(request_builder, params)

    def set_params(self, request_builder: Any, params: Mapping[str, Any]) -> None:
        """Write the parameters into the query."""
        for name, value in params.items():
            if value is not None and value is not UNSET:
                context_of(request_builder).params[camel_case(name)] = query_text(name, value)


def query_text(name: str, value: Any) -> str:
    """Return a query value as the server reads it.

    Raises:
        ValueError: there is no one way to write it; the message names the parameter.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise ValueError(
                f"{name} must be a datetime with a time zone, such as datetime.now(timezone.utc)"
            )
        return moment_text(value)
    if isinstance(value, Collection) and not isinstance(value, str):
        raise ValueError(f"{name} must be a single value, not {type(value).__name__}")
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{name} contains an unpaired surrogate, which UTF-8 cannot encode"
        ) from None
    return text


def take_options(request_builder: Any, keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    """Hand the :class:`CallOptions` among the keywords to the transport; return the others.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.
    """
    others: dict[str, Any] = {}
    for name, value in keywords.items():
        set_option = _OPTIONS.get(name)
        if set_option is None:
            others[name] = value
        elif value is not UNSET:
            set_option(request_builder, value)
            context_of(request_builder).options[name] = value
    return others


def check_retries(value: Any) -> None:
    """Check the call option ``retries``.

    Raises:
        TypeError: it is neither a ``RetryConfig`` nor ``None``.
    """
    if value is not None and not isinstance(value, RetryConfig):
        raise TypeError(f"retries must be a RetryConfig or None, not {type(value).__name__}")


def _set_retries(request_builder: Any, value: Any) -> None:
    check_retries(value)
    request_builder.info[OPTIONS]["retries"] = value


def _set_timeout(request_builder: Any, value: Any) -> None:
    timeout_seconds(value, 1.0)
    if value is not None:
        request_builder.info[OPTIONS]["timeout_ms"] = value


def _set_headers(request_builder: Any, value: Any) -> None:
    if value is not None:
        add_headers(request_builder, value, "http_headers")


_OPTIONS = {"retries": _set_retries, "timeout_ms": _set_timeout, "http_headers": _set_headers}
