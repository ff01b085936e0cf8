"""Origins as they are connected to, and the patterns that name them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client import Limit, Policy
from x402_client.errors import ConfigurationError
from x402_client.model.hosts import Origin, Pattern, is_here, plain_host


@pytest.mark.parametrize(
    ("scheme", "host", "port", "shown"),
    [
        ("https", "api.example.com", None, "https://api.example.com"),
        ("https", "API.Example.com.", 443, "https://api.example.com"),
        ("http", "api.example.com", 80, "http://api.example.com"),
        ("https", "api.example.com", 80, "https://api.example.com:80"),
        ("http", "[::1]", 8402, "http://[::1]:8402"),
        ("http", "::1", None, "http://[::1]"),
        ("https", "0:0:0:0:0:0:0:1", None, "https://[::1]"),
        ("https", "2001:DB8::0:1", None, "https://[2001:db8::1]"),
        ("https", "bücher.example", None, "https://xn--bcher-kva.example"),
        ("https", "straße.example", None, "https://xn--strae-oqa.example"),
        ("https", "::FFFF:10.0.0.1", None, "https://10.0.0.1"),
        ("https", "127.1", None, "https://127.0.0.1"),
        ("https", "10.1.513", None, "https://10.1.2.1"),
        ("https", "2130706433", None, "https://127.0.0.1"),
        ("https", "0x7F.0.0.01", None, "https://127.0.0.1"),
        ("https", "017700000001", None, "https://127.0.0.1"),
        ("https", "0", None, "https://0.0.0.0"),
        ("https", "256.1", None, "https://256.1"),
        ("https", "1.2.3.256", None, "https://1.2.3.256"),
        ("https", "4294967296", None, "https://4294967296"),
        ("https", "1.2.3.4.5", None, "https://1.2.3.4.5"),
        ("https", "1.2.3.example", None, "https://1.2.3.example"),
        ("ftp", "a.example", None, "ftp://a.example:0"),
        ("mcp", "mcp:reports", None, "mcp:reports"),
    ],
)
def test_an_origin_is_written_in_one_way(scheme: str, host: str, port: int | None, shown: str) -> None:
    assert str(Origin.of(scheme, host, port)) == shown


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine(host: str) -> None:
    assert Origin.of("http", host, None).loopback


@pytest.mark.parametrize(
    "host", ["localhost.example", "notlocalhost", "10.0.0.1", "::2", "0.0.0.0", "127.0.0.1.nip.io"]
)
def test_other_machines(host: str) -> None:
    assert not Origin.of("http", host, None).loopback


def test_a_connection_to_somewhere_else_makes_a_name_no_part_of_this_machine() -> None:
    proxied = Origin("http", "localhost", 80, elsewhere=True)
    assert not proxied.loopback
    assert proxied.named_loopback
    assert proxied == Origin("http", "localhost", 80)


@pytest.mark.parametrize(
    ("peer", "here"),
    [
        (("127.0.0.1", 8402), True),
        (("127.8.9.1", 8402), True),
        (("::1", 8402, 0, 0), True),
        (("::ffff:127.0.0.1", 8402, 0, 0), True),
        (("127.0.0.1", 3128), False),
        (("10.0.0.1", 8402), False),
        (("::ffff:10.0.0.1", 8402, 0, 0), False),
        (("localhost", 8402), False),
        ("/run/seller.sock", True),
        (b"\0abstract", True),
        (None, False),
        ((), False),
        (("127.0.0.1",), False),
        ((None, 8402), False),
    ],
)
def test_the_far_end_of_a_connection(peer: object, here: bool) -> None:
    assert is_here(peer, 8402) is here


@pytest.mark.parametrize("name", ["reports", "Reports", "a", "a-b_c9", "x" * 63])
def test_an_mcp_server_is_named_by_a_word(name: str) -> None:
    origin = Origin.of_server(name)
    assert str(origin) == origin.host == f"mcp:{name.lower()}"
    assert origin.is_private
    assert not origin.loopback
    for text in (str(origin), f"MCP:{name}"):
        assert Pattern.parse(text).matches(origin)
        assert str(Pattern.parse(text)) == str(origin)
    assert str(Pattern(origin.host, 0)) == str(origin)
    assert not Pattern.parse("mcp:other").matches(origin)
    assert not Pattern.parse("*.reports").matches(origin)


@pytest.mark.parametrize("name", ["", "9", "a.b", "a b", "-a", "é", "a:1", "x" * 64, "a/b"])
def test_another_word_names_no_mcp_server(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        Origin.of_server(name)
    if not name.isdecimal():
        with pytest.raises(ConfigurationError):
            Pattern.parse(f"mcp:{name}")
    assert not Pattern.parse("mcp:8402").matches(Origin.of_server("a"))


MATCHES = [
    ("api.example.com", "api.example.com", 443, True),
    ("API.example.COM.", "api.example.com", 8443, True),
    ("api.example.com", "Api.Example.com.", 443, True),
    ("api.example.com", "evil-api.example.com", 443, False),
    ("api.example.com", "api.example.com.evil.example", 443, False),
    ("api.example.com:8443", "api.example.com", 8443, True),
    ("api.example.com:8443", "api.example.com", 443, False),
    ("*.example.com", "api.example.com", 443, True),
    ("*.example.com", "a.b.example.com", 443, True),
    ("*.example.com", "example.com", 443, False),
    ("*.example.com", "badexample.com", 443, False),
    ("*.example.com:8443", "api.example.com", 8443, True),
    ("*.example.com:8443", "api.example.com", 443, False),
    ("bücher.example", "xn--bcher-kva.example", 443, True),
    ("xn--bcher-kva.example", "bücher.example", 443, True),
    ("*.bücher.example", "shop.xn--bcher-kva.example", 443, True),
    ("STRASSE.example", "straße.example", 443, False),
    ("straße.example", "xn--strae-oqa.example", 443, True),
    ("::1", "::1", 443, True),
    ("[::1]:8402", "::1", 8402, True),
    ("[::1]:8402", "::1", 443, False),
    ("0:0::1", "[::1]", 443, True),
    ("10.0.0.1", "10.0.0.1", 443, True),
    ("localhost:8402", "localhost", 8402, True),
    ("_dmarc.example", "_dmarc.example", 443, True),
]


@pytest.mark.parametrize(("pattern", "host", "port", "matches"), MATCHES)
def test_patterns(pattern: str, host: str, port: int, matches: bool) -> None:
    assert Pattern.parse(pattern).matches(Origin.of("https", host, port)) is matches


@pytest.mark.parametrize(
    "wrong",
    [
        "", ".", "*", "*.", "*example.com", "a.*.com", "https://api.example.com", "api.example.com/path", "a b.com",
        "a.com:", "a.com:x", "a.com:0", "a.com:65536", "a.com:999999", "a..com", ".a.com", "-a.com", "a-.com",
        "user@a.com", "[::1", "[nonsense]", "::zz", "a.com\n", "a?b", "a#b", "a\\b", "☃.\u202e", "*.☃\u202e",
        None, 5, b"a.com", ["a.com"],
    ],
)  # fmt: skip
def test_what_is_no_host(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="host"):
        Pattern.parse(wrong)
    with pytest.raises(ConfigurationError, match="host"):
        Policy(per_day="1", hosts={wrong: "deny"} if isinstance(wrong, str) else {wrong and 5: "deny"})


@pytest.mark.parametrize("text", ["api.example.com", "*.example.com:8443", "::1", "10.0.0.1:80"])
def test_a_pattern_reads_back(text: str) -> None:
    assert str(Pattern.parse(text)) == text


def test_the_most_exact_pattern_wins() -> None:
    order = ["a.b.example.com:8443", "a.b.example.com", "*.b.example.com:8443", "*.b.example.com", "*.example.com"]
    origin = Origin.of("https", "a.b.example.com", 8443)
    limits = {name: Limit(per_request=str(i + 1)) for i, name in enumerate(order)}
    for i in range(len(order)):
        for names in (order[i:], order[i:][::-1]):
            found = Policy(per_day="9", hosts={n: limits[n] for n in names}).rule(origin)
            assert found is not None
            assert str(found[0]) == order[i]


@given(st.text(max_size=30))
def test_any_host_is_written_in_one_way(host: str) -> None:
    once = plain_host(host)
    assert once == once.lower() or not once.isascii()
    if once.isascii() and "[" not in once and "]" not in once:
        assert plain_host(once) == once


@given(st.text(max_size=30))
def test_any_pattern_is_one_or_a_mistake(text: str) -> None:
    try:
        pattern = Pattern.parse(text)
    except ConfigurationError:
        return
    assert Pattern.parse(str(pattern)) == pattern or ":" in pattern.host
    host = pattern.host.replace("*", "any")
    assert pattern.matches(Origin("https", host, pattern.port or 443))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("a.example", "a.example", True),
        ("a.example", "b.example", False),
        ("*.example", "a.example", True),
        ("*.a.example", "*.example", True),
        ("*.a.example", "*.b.example", False),
        ("*.example", "example", False),
        ("a.example:1", "a.example", True),
        ("a.example:1", "a.example:2", False),
        ("[::1]:1", "::1", True),
    ],
)
def test_two_patterns_overlap_if_some_origin_is_covered_by_both(one: str, other: str, both: bool) -> None:
    first, second = Pattern.parse(one), Pattern.parse(other)
    assert first.overlaps(second) is second.overlaps(first) is both


@pytest.mark.parametrize("text", ["[::1]:8402", "::1", "a.example:8402", "*.example", "127.0.0.1:1"])
def test_a_pattern_reads_as_it_is_shown(text: str) -> None:
    assert str(Pattern.parse(text)) == text
