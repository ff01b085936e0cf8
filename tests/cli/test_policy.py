"""A policy file is begun, and is named where a message speaks of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from x402_client import Policy
from x402_client.cli.own_words import in_own_words
from x402_client.policy.policy import CAREFUL
from x402_client.sandbox import Sandbox

from .running import in_process


def test_the_policy_to_begin_with_is_the_careful_one_and_all_its_comments_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    ran = in_process(["policy", "init", str(file)], {})
    assert ran.code == 0
    assert f"export X402_POLICY={file}" in ran.text
    assert Policy.from_file(file).overall == CAREFUL.overall
    fields = [line.removeprefix("# ") for line in file.read_text().splitlines()[2:]]
    file.write_text("\n".join(fields))
    found = Policy.from_file(file)
    assert [str(host) for host in found.hosts] == ["api.example.com", "bad.example"]
    [token] = found.tokens
    assert (token.symbol, token.currency, token.name) == ("FOO", "USD", "Foo Dollar")


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("mine")
    ran = in_process(["policy", "init", str(file)], {})
    assert (ran.code, file.read_text()) == (2, "mine")
    assert "is there already" in ran.err
    ran = in_process(["policy", "init", str(tmp_path / "no" / "policy.toml")], {})
    assert (ran.code, "cannot be written: No such file or directory. Make its directory first" in ran.err) == (2, True)
    assert f"mkdir -p {tmp_path / 'no'}\n" in ran.err


def test_a_refusal_names_the_policy_file_in_use_or_how_to_begin_one(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    policy = given["X402_POLICY"]
    url = f"{seller.url}/fault/swapped-token/weather"
    assert f"[[tokens]] in the policy file {policy}" in in_process(["quote", url], given).text
    assert "a table [[tokens]] in a policy file (none is in use: `x402 policy init` writes one)" in in_own_words(
        "Policy(tokens=[Token(...)]) vouches for one"
    )
    assert "`x402 policy init` writes one" in in_own_words("Policy(accept_loss=...) does so")


def test_the_file_that_init_writes_has_the_table_of_tokens_that_messages_name(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    assert in_process(["policy", "init", str(file)], {}).code == 0
    with file.open("a", encoding="utf-8") as written:  # the sandbox's tokens, which a policy of one's own needs as well
        written.write("\n" + Path(given["X402_POLICY"]).read_text("utf-8").partition("\n\n")[2])
    said = in_process(["quote", f"{seller.url}/fault/swapped-token/weather", "--policy", str(file)], given).text
    assert f"[[tokens]] in the policy file {file}" in said
    assert "# [[tokens]]" in file.read_text()


def test_a_price_above_the_limit_of_a_host_names_its_entry(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    policy = tmp_path / "hosts.toml"
    policy.write_text(Path(given["X402_POLICY"]).read_text() + '[hosts."127.0.0.1"]\nper_request = "0.001"\n')
    for options in (("--yes",), ("--max", "0.05")):
        ran = in_process(["get", f"{seller.url}/weather", "--policy", str(policy), *options], given)
        assert ran.code == 3
        assert f'[hosts."127.0.0.1"] in the policy file {policy} decides' in ran.err


def test_what_can_never_work_in_a_policy_is_told(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        'per_request = "2"\nper_day = "1"\nper_month = "9"\napprove_above = "3"\n'
        f'[hosts."a.example"]\n[[tokens]]\nnetwork = "base"\naddress = "0x{"1" * 40}"\nsymbol = "FOO"\n'
    )
    ran = in_process(["policy", "check", str(file)], {})
    assert ran.code == 0
    said = " ".join(ran.err.split())
    for words in (
        "per_request is 2.00 USD, and the budget (day) is 1.00 USD",
        "approve_above is 3.00 USD, and the budget (day) is 1.00 USD",
        '[hosts."a.example"]: an empty table limits nothing, so the limits for all hosts alone hold there. '
        'Write per_day = "1", for example.',
        "FOO has no name or no version of its EIP-712 domain",
    ):
        assert words in said
    file.write_text('only_listed_hosts = true\nper_day = "1"\n[hosts]\n"bad.example" = "deny"\n')
    checked = in_process(["policy", "check", str(file)], {})
    assert checked.code == 0
    assert "only_listed_hosts pays no host that is not in hosts" in " ".join(checked.err.split())
    file.write_text('per_request = "1"\nper_day = "1"\napprove_above = "0.5"\n')
    assert in_process(["policy", "check", str(file)], {}).err == ""


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (["reports"], True), (["reports", "mcp:reports"], False), (["mcp:reports"], False), (["localhost"], False),
        (["reports:8080"], False), (["api.example.com"], False), (["*.example"], False), (["10.0.0.1"], False),
    ],
)  # fmt: skip
def test_an_entry_by_which_an_mcp_server_may_be_meant_is_told(tmp_path: Path, hosts: list[str], said: bool) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('per_day = "1"\n[hosts]\n' + "".join(f'"{host}" = "deny"\n' for host in hosts))
    ran = in_process(["policy", "check", str(file)], {})
    assert ran.code == 0
    found = 'An MCP server of that name is "mcp:reports" here.' in " ".join(ran.err.split())
    assert (found, ran.err == "") == (said, not said)


def test_what_is_given_up_is_said(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('per_day = "1"\naccept_loss = "0.02"\n')
    assert "payments of up to 0.02 USD that brought nothing" in in_process(["policy", "check", str(file)], {}).text
    file.write_text('per_day = "1"\n')
    assert "gives up" not in in_process(["policy", "check", str(file)], {}).text


def test_what_is_paid_ahead_is_said(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('per_day = "1"\npay_ahead = true\n[hosts."llm.example"]\npay_ahead = "any body"\n', "utf-8")
    said = in_process(["policy", "check", str(file)], {}).text
    assert "pays ahead" in said
    assert "any body is paid ahead" in said
    file.write_text('per_day = "1"\n', "utf-8")
    assert "ahead" not in in_process(["policy", "check", str(file)], {}).text


def test_a_wallet_without_a_key_for_the_only_network_is_told(bare: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('per_day = "1"\nnetworks = ["solana"]\n', "utf-8")
    ours = {"X402_EVM_KEY": "0x" + "46" * 32}
    told = "networks names solana, and the wallet has a key for EVM chains alone: nothing is paid."
    assert told in in_process(["policy", "check", str(file)], bare | ours).err
    for given in (bare, bare | {"X402_EVM_KEY": "nonsense"}):
        ran = in_process(["policy", "check", str(file)], given)
        assert (ran.code, ran.err) == (0, "")
    file.write_text('per_day = "1"\nnetworks = ["solana", "base"]\n', "utf-8")
    assert in_process(["policy", "check", str(file)], bare | ours).err == ""
