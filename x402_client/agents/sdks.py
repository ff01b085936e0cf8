"""``wrap``: makes the HTTP clients inside of an SDK's own object pay, and says which ones it found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..buyer.payers import root_of
from ..errors import ConfigurationError
from .clients import face_of, library_of

if TYPE_CHECKING:
    from ..buyer.payers import Payer

#: SDKs whose objects are looked into, also where another package's object holds one.
_SDKS = frozenset({"anthropic", "cohere", "google", "groq", "litellm", "mistralai", "openai"})
_DEPTH = 6


def wrap(sdk: Any, buyer: Payer) -> tuple[str, ...]:
    """Make the clients inside of an SDK's object pay, in place. Return a line about each.

    It knows the objects of openai, anthropic, google-genai, mistralai, cohere and groq, and objects of other packages
    that hold one of these, like a chat model of LangChain. Of litellm, pass the module. Where the SDK lets you hand it
    a client, handing it a wrapped one is plainer.

    Args:
        sdk: The SDK's client, or an object that holds it.
        buyer: The buyer that pays.
    """
    root_of(buyer)
    if isinstance(sdk, ModuleType) and sdk.__name__ == "litellm":
        _give_litellm_clients(sdk)
    _steer_google(sdk)
    found = dict(_clients(sdk))
    if not found:
        raise ConfigurationError(
            f"No client of httpx, httpx2, requests or aiohttp was found inside of {_kind(sdk)}. Wrap a client, and "
            "hand it to the SDK where it takes one: the manual's page sdks-and-agents says where."
        )
    for path, client in found.items():
        _check_sends(path, client)
    for client in found.values():
        library, _ = library_of(client) or ("", False)
        face_of(library).wrap(client, buyer)
    return tuple(f"{_kind(client)} at {path or 'the object itself'}" for path, client in found.items())


def _clients(root: Any) -> Iterator[tuple[str, Any]]:
    """Yield the clients that can be reached from an object, with the way to each. The nearest come first."""
    packages = _SDKS | {_package(root)}
    waiting: list[tuple[str, Any, int]] = [("", root, 0)]
    seen: set[int] = set()
    while waiting:
        path, one, depth = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if library_of(one) is not None:
            yield path, one
        elif depth < _DEPTH and (_package(one) in packages):
            waiting += [(f"{path}.{name}", value, depth + 1) for name, value in _members(one)]


def _members(one: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, without running code of its own. litellm's module loads its own late."""
    if isinstance(one, ModuleType):
        yield from ((name, getattr(one, name, None)) for name in _OF_LITELLM)
        return
    yield from list(_held(one, "__dict__").items())
    private = _held(one, "__pydantic_private__")
    yield from list(private.items())
    for kind in type(one).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            descriptor = vars(kind).get(name)
            if descriptor is not None and hasattr(descriptor, "__get__") and hasattr(descriptor, "__objclass__"):
                with suppress(Exception):  # it is empty, or a descriptor of another kind that fails in its own way
                    yield name, descriptor.__get__(one, kind)


def _held(one: Any, name: str) -> dict[str, Any]:
    """Return a mapping of an object's own. An object may answer for names that it does not have, and fail at it."""
    try:
        found = getattr(one, name, None)
    except Exception:
        return {}
    return found if isinstance(found, dict) else {}


def _package(one: Any) -> str:
    return one.__name__.partition(".")[0] if isinstance(one, ModuleType) else _package_of(type(one))


def _package_of(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]


def _kind(one: Any) -> str:
    return f"the module {one.__name__}" if isinstance(one, ModuleType) else f"{_package(one)}.{type(one).__name__}"


#: The clients of litellm stand in its module: those for OpenAI's protocol, and its handlers for all other providers.
_OF_LITELLM = ("client_session", "aclient_session", "module_level_client", "module_level_aclient")


def _give_litellm_clients(module: Any) -> None:
    """Give litellm clients of its own to wrap, where it would make new ones for each call."""
    import httpx

    if module.client_session is None:
        module.client_session = httpx.Client(timeout=600)
    if module.aclient_session is None:
        module.aclient_session = httpx.AsyncClient(timeout=600)


def _steer_google(sdk: Any) -> None:
    """Keep google-genai to its own httpx client in async calls.

    Where aiohttp is installed, it asks by sessions that it makes later, which nothing could wrap now. It does not where
    it was handed an async client, so it is handed its own. And that one sends by further clients, one for each event
    loop, unless it is told not to.
    """
    for api in [sdk, *(value for _, value in _members(sdk))]:
        if type(api).__name__ != "BaseApiClient" or _package(api) != "google":
            continue
        options, own = getattr(api, "_http_options", None), getattr(api, "_async_httpx_client", None)
        if options is not None and own is not None and api._use_aiohttp():
            options.httpx_async_client = own
        if own is not None and hasattr(own, "_per_loop"):
            own._per_loop = False
        if api._use_aiohttp():
            raise ConfigurationError(
                "This client of google-genai makes sessions of aiohttp later, which cannot be wrapped now. Hand it "
                "clients that pay: genai.Client(http_options=HttpOptions(httpx_client=..., httpx_async_client=...))."
            )


def _check_sends(path: str, client: Any) -> None:
    """Refuse a client with a ``send`` of its own: what it sends by would not be wrapped, and nothing would say so."""
    own = next(kind for kind in type(client).__mro__ if "send" in vars(kind) or "_request" in vars(kind))
    if _package_of(own) not in ("aiohttp", "httpx", "httpx2", "requests") and getattr(client, "_per_loop", True):
        raise ConfigurationError(
            f"The client at {path} is a {_kind(client)} that sends in a way of its own, so it cannot be told if it "
            "would pay. Hand the SDK a wrapped client instead."
        )
