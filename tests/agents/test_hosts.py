"""Which places a model can have asked: public ones, or those of a list, and none that only looks like one."""

from __future__ import annotations

import socket
from typing import Any

import anyio
import httpx
import pytest
import requests

from x402_client import errors
from x402_client.agents.clients import leaves_names
from x402_client.agents.hosts import AllowedHosts, NotFetched, origin_of

HERE = "x402.example"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses of names. What is not among them is not found."""
    known: dict[str, list[str]] = {}

    def look(host: str | bytes, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in known:
            raise socket.gaierror(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[name]]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return known


def refused(hosts: AllowedHosts, url: str) -> str:
    """Return why a URL is refused, sync and async alike, or ""."""
    said = []
    for check in (hosts.check, lambda url: anyio.run(hosts.acheck, url)):
        try:
            check(url)
            said.append("")
        except NotFetched as problem:
            said.append(str(problem))
    assert said[0] == said[1]
    return said[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
        "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://localhost/", "http://a.localhost:80/", "http://LOCALHOST./",
        "http://0.0.0.0/", "http://10.0.0.1/", "http://192.168.1.1/", "http://172.16.0.1/", "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://[fd00::1]/", "http://[ff02::1]/",
        "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:7f00:1::]/", "http://224.0.0.1/",
        "http://①②⑦.⓪.⓪.①/", "http://%31%32%37.0.0.1/", "http://%6cocalhost/", "http://127%2E0.0.1/", "http://12%37.1/",
        "http://168.63.129.16/", "http://192.0.0.192/", "http://192.0.0.9/", "http://100.100.100.200/",
        "http://[fec0::1]/", "http://[::127.0.0.1]/", "http://[::a9fe:a9fe]/", "http://[64:ff9b:1::1]/",
        "http://[64:ff9b::a83f:8110]/", "http://[::ffff:168.63.129.16]/", "http://[::ffff:0:7f00:1]/",
    ],
)  # fmt: skip
def test_without_a_list_no_private_address_is_asked_however_it_is_written(
    url: str, names: dict[str, list[str]]
) -> None:
    assert refused(AllowedHosts(None), url)


def test_a_name_that_leads_to_a_private_address_is_refused_if_any_of_its_addresses_does(
    names: dict[str, list[str]],
) -> None:
    names |= {HERE: ["93.184.216.34"], "inside.example": ["93.184.216.34", "10.0.0.1"], "six.example": ["fd00::1"]}
    hosts = AllowedHosts(None)
    assert refused(hosts, f"https://{HERE}/a?b=c") == ""
    assert refused(hosts, "https://93.184.216.34/") == ""
    assert refused(hosts, "https://[2606:2800:220:1:248:1893:25c8:1946]/") == ""
    assert "inside.example is at a private address" in refused(hosts, "https://inside.example/")
    assert refused(hosts, "https://six.example/")


def test_a_name_that_is_not_found_is_not_asked_unless_a_proxy_looks_it_up(names: dict[str, list[str]]) -> None:
    url = "https://nowhere.example/"
    assert refused(AllowedHosts(None), url) == "nowhere.example could not be looked up, so it was not asked."
    assert refused(AllowedHosts(None, unknown=True), url) == ""
    assert refused(AllowedHosts(["*.example"]), url) == ""


def test_a_list_can_be_held_to_public_addresses_too(names: dict[str, list[str]]) -> None:
    names |= {HERE: ["93.184.216.34"], "inside.example": ["10.0.0.1"]}
    hosts = AllowedHosts([HERE, "inside.example", "127.0.0.1"], public=True)
    assert refused(hosts, f"https://{HERE}/") == ""
    assert "private address" in refused(hosts, "https://inside.example/")
    assert "this machine itself" in refused(hosts, "http://127.0.0.1/")
    assert "is not among the hosts" in refused(hosts, "https://other.example/")


def test_a_client_behind_a_proxy_leaves_names_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("x402_client.agents.clients.getproxies", dict)
    with httpx.Client(trust_env=False) as straight, requests.Session() as session:
        assert not leaves_names(straight)
        assert not leaves_names(session)
        session.proxies = {"https": "http://proxy.example:3128"}
        assert leaves_names(session)
    with httpx.Client(proxy="http://proxy.example:3128", trust_env=False) as proxied:
        assert leaves_names(proxied)
    with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))) as in_process:
        assert leaves_names(in_process)
    monkeypatch.setattr("x402_client.agents.clients.getproxies", lambda: {"http": "http://proxy.example:3128"})
    with requests.Session() as session:
        assert leaves_names(session)


def test_a_list_allows_its_hosts_alone_wherever_they_are(names: dict[str, list[str]]) -> None:
    hosts = AllowedHosts([HERE, "*.lan.example", "127.0.0.1:8402"])
    for url in (f"https://{HERE}/", "http://a.b.lan.example/", "http://127.0.0.1:8402/x"):
        assert refused(hosts, url) == ""
    for url in ("https://other.example/", "http://127.0.0.1/", "http://lan.example/", f"https://{HERE}.evil.example/"):
        assert "is not among the hosts" in refused(hosts, url)
    assert hosts.objection(f"https://{HERE}/") == ""
    assert "is not among the hosts" in hosts.objection("https://other.example/")


@pytest.mark.parametrize(
    "url",
    [
        "http://intranet/", "http://metadata.google.internal/computeMetadata/v1/", "https://nas.local./", "http://a.lan/",
        "http://router.home.arpa/", "http://git.corp/", "http://host.docker.internal:8080/",
    ],
)  # fmt: skip
def test_without_a_list_no_name_of_a_private_network_is_left_to_a_proxy(url: str, names: dict[str, list[str]]) -> None:
    assert "is a name of a private network" in refused(AllowedHosts(None, unknown=True), url)
    assert refused(AllowedHosts(None, unknown=True), "https://internal.example/") == ""


@pytest.mark.parametrize(
    "url",
    [
        "", "weather", "/etc/passwd", "file:///etc/passwd", "ftp://a.example/", "gopher://a.example/",
        "javascript:alert(1)", "https://", "https:///x", "https://a.example:0/", "https://a.example:99999/",
        "https://[::1/", None, 7, ["https://a"], "https://user:secret@a.example/", "https://a.example\\@b.example/",
        "https://a.example/\n", "https://a.example/\u202e", "https://a%2eexample/", "https://a b.example/", "https://a;b.example/",
        "https://a.example/" + "x" * 9_000, "data:text/plain,hello",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_web_server_is_refused_in_words(url: Any) -> None:
    with pytest.raises(NotFetched) as problem:
        origin_of(url)
    assert str(problem.value).startswith("url ")
    assert "secret" not in str(problem.value)


@pytest.mark.parametrize(("hosts", "words"), [([], "hosts is empty"), ("a.example", "hosts is a list"),
                                              (["https://a.example/"], "is not a host")])  # fmt: skip
def test_a_mistake_in_the_list_is_named(hosts: Any, words: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=words):
        AllowedHosts(hosts)
