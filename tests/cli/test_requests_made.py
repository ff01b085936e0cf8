"""What a URL and the options of fingers used to curl make."""

from __future__ import annotations

from pathlib import Path

import pytest

from x402_client.cli.exits import Code
from x402_client.cli.requests_made import cli_request, whole_url
from x402_client.cli.running import Stop


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("api.example.com/x", "https://api.example.com/x"),
        ("https://api.example.com", "https://api.example.com"),
        ("http://api.example.com", "http://api.example.com"),
        ("localhost:8402/x", "http://localhost:8402/x"),
        ("localhost", "http://localhost"),
        ("127.0.0.1:1", "http://127.0.0.1:1"),
        ("[::1]:8402/x", "http://[::1]:8402/x"),
        ("localhost.example.com/x", "https://localhost.example.com/x"),
        ("user@localhost/x", "http://user@localhost/x"),
        (" https://x.example/ ", "https://x.example/"),
    ],
)
def test_a_url_is_https_unless_it_is_this_machine(written: str, meant: str) -> None:
    assert whole_url(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "", "ftp://x.example", "https://", "http://[::1", "http://x:99999/", "http://x:0x1/", "https://a\x00/",
        "https://a/\x7f", "https://ä..com/", "https://[::1]x/", f"https://{'a' * 70_000}/",
    ],
)  # fmt: skip
def test_what_is_no_url_is_told(written: str) -> None:
    with pytest.raises(Stop) as caught:
        whole_url(written)
    assert caught.value.code is Code.USAGE


@pytest.mark.parametrize(
    ("method", "data", "headers", "expected"),
    [
        (None, [], [], ("GET", [], None)),
        ("delete", [], ["A: b"], ("DELETE", [("A", "b")], None)),
        (None, ["a=1"], [], ("POST", [("Content-Type", "application/x-www-form-urlencoded")], b"a=1")),
        (None, ['{"a": 1}'], [], ("POST", [("Content-Type", "application/json")], b'{"a": 1}')),
        (None, ["a=1", "b=2"], [], ("POST", [("Content-Type", "application/x-www-form-urlencoded")], b"a=1&b=2")),
        (None, ["{}"], ["content-type: text/plain"], ("POST", [("content-type", "text/plain")], b"{}")),
        (
            "PUT",
            [""],
            ["X-Empty:"],
            ("PUT", [("X-Empty", ""), ("Content-Type", "application/x-www-form-urlencoded")], b""),
        ),
    ],
)
def test_options_make_a_request(
    method: str | None, data: list[str], headers: list[str], expected: tuple[str, list[tuple[str, str]], bytes | None]
) -> None:
    with cli_request("x.example", method, data, headers) as found:
        assert (found.method, found.headers, found.content) == expected
        assert "content" in found.keywords or found.content is None


def test_a_file_is_sent_as_it_is_and_closed(tmp_path: Path) -> None:
    for content, kind in ((b'{"a": 1}', "application/json"), (b"[" + b" " * 2_000_000, "application/octet-stream")):
        file = tmp_path / "body"
        file.write_bytes(content)
        with cli_request("x.example", None, [f"@{file}"], None) as found:
            assert found.headers == [("Content-Type", kind)]
            assert not isinstance(found.content, bytes)
            assert found.content is not None
            assert found.content.read() == content
        assert found.content.closed


@pytest.mark.parametrize(
    ("data", "headers"),
    [(["-", "a=1"], []), (["@a", "@b"], []), ([], ["no colon"]), ([], [": x"]), ([], ["A: b\r\nC: d"])],
)
def test_what_cannot_be_sent_is_told(data: list[str], headers: list[str]) -> None:
    with pytest.raises(Stop), cli_request("x.example", None, data, headers):
        pass
