"""Expand ``**options: Unpack[SomeTypedDict]`` into explicit keywords.

``help()`` and test doubles then show each keyword, and an unknown keyword raises ``TypeError``.
"""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from ..models.unset import UNSET, Unset

P = ParamSpec("P")
T = TypeVar("T")

_REFUSED_KEYWORDS: Mapping[str, str] = {"extra_body": "it sends no body"}


def expand_signatures(cls: type[T]) -> type[T]:
    """Apply :func:`explicit_signature` to each public method that a class defines."""
    for name, method in [*vars(cls).items()]:
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(cls, name, explicit_signature(method))
    return cls


def explicit_signature(
    function: Callable[P, T], refused: Mapping[str, str] = _REFUSED_KEYWORDS
) -> Callable[P, T]:
    """Return a method with an explicit signature, which raises ``TypeError`` for other keywords.

    Args:
        function: the method. Without ``**options: Unpack[SomeTypedDict]`` it is returned unchanged.
        refused: maps each refused keyword to the reason in the error message. Other methods accept
            the keyword.
    """
    if get_options_type(get_signature(function), function) is None:
        return function
    signature, check_keywords = make_signature_and_check(function, refused)
    wrapped: Any = function

    def checked(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        check_keywords(kwargs)
        return wrapped(self, *args, **kwargs)

    async def checked_async(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        check_keywords(kwargs)
        return await wrapped(self, *args, **kwargs)

    is_async = inspect.iscoroutinefunction(function)
    method: Any = functools.wraps(function)(checked_async if is_async else checked)
    method.__signature__ = signature
    return method  # type: ignore[no-any-return]


def make_signature_and_check(
    function: Callable[..., Any], refused: Mapping[str, str] = _REFUSED_KEYWORDS
) -> tuple[inspect.Signature, Callable[[Any], None]]:
    """Return the explicit signature of a function, and a function that checks its keywords."""
    signature = get_signature(function)
    options_type = get_options_type(signature, function)
    if options_type is None:
        return signature, lambda _: None  # uplink checks the keywords
    parameters = list(signature.parameters.values())[:-1]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
        for name, (hint, default) in get_keyword_types(options_type).items()
    ]
    known_keywords = frozenset(parameter.name for parameter in parameters)

    def check_keywords(keywords: Mapping[str, Any]) -> None:
        if not known_keywords.issuperset(keywords):
            name = next(name for name in keywords if name not in known_keywords)
            if name in refused:
                raise TypeError(f"{function.__name__}() takes no {name}: {refused[name]}")
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")

    return signature.replace(parameters=parameters), check_keywords


def get_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function, also if only type checkers know a type in it."""
    if sys.version_info >= (3, 14):
        # Python 3.14 evaluates the annotations here, which raises NameError for such a type.
        from annotationlib import Format  # noqa: PLC0415 - not in older versions

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def get_options_type(signature: inspect.Signature, function: Any) -> Any:
    """Return the ``TypedDict`` of a function's keyword arguments, or ``None``."""
    annotation = [None, *(each.annotation for each in signature.parameters.values())][-1]
    if isinstance(annotation, str) and "Unpack[" in annotation:
        try:
            annotation = eval(annotation, inspect.unwrap(function).__globals__)
        except NameError:  # the type is imported for type checkers only, or local to a function
            return None
    if typing.get_origin(annotation) is not typing.Unpack:
        return None
    options_type = typing.get_args(annotation)[0]
    return None if isinstance(options_type, typing.ForwardRef) else options_type


@functools.cache
def get_keyword_types(options_type: Any) -> Mapping[str, tuple[Any, Any]]:
    """Return the type and the default of each key of a ``TypedDict``.

    The default is ``UNSET`` if the type includes ``Unset``, else ``None``.
    """
    return {
        name: (hint, UNSET if Unset in typing.get_args(hint) else None)
        for name, hint in typing.get_type_hints(options_type).items()
    }
