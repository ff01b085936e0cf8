"""``x402 tokens``: what is known, with contract and domain."""

from __future__ import annotations

import json
from pathlib import Path

from x402_client.chains.tokens import KNOWN

from .running import in_process, terminal


def test_every_token_that_ships_is_listed_with_its_contract_and_domain(bare: dict[str, str]) -> None:
    ran = in_process(["tokens"], bare)
    assert ran.code == 0
    for token in KNOWN:
        assert token.address in ran.text
    base = [line.split() for line in ran.text.splitlines() if "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913" in line]
    assert [" ".join(line) for line in base] == [
        "USDC base 0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913 USD Coin, version 2 USD"
    ]


def test_they_are_filtered_by_network_in_any_spelling(bare: dict[str, str]) -> None:
    found = json.loads(in_process(["tokens", "--network", "8453", "--network", "solana", "--json"], bare).out)
    assert {one["network_name"] for one in found} == {"base", "solana"}
    usdc = next(one for one in found if one["network_name"] == "base" and one["token"] == "USDC")
    assert usdc["domain"] == {"name": "USD Coin", "version": "2"}
    assert (usdc["decimals"], usdc["currency"], usdc["test_money"], usdc["by_policy"]) == (6, "USD", False, False)
    for name, said in {
        "eip155:99": "No token is known on 'eip155:99'. There are some on adi, arbitrum,",
        "moon": "'moon' is not a network we know",
        "bsae": 'did you mean "base"?',
    }.items():
        ran = in_process(["tokens", "--network", name], bare)
        assert (ran.code, said in ran.err) == (2, True)


def test_test_money_is_labelled(bare: dict[str, str]) -> None:
    text = in_process(["tokens", "--network", "base-sepolia"], bare).text
    assert "base-sepolia, test " in text
    assert "USD (test)" in text


def test_tokens_of_a_policy_are_among_them_once(given: dict[str, str]) -> None:
    found = json.loads(in_process(["tokens", "--json", "--network", "solana-devnet"], given).out)
    assert [(one["token"], one["by_policy"]) for one in found] == [("USDC", True), ("PYUSD", False), ("USDG", False)]
    text = in_process(["tokens", "--network", "solana-devnet"], given).text
    assert [line.split("  ")[-1].strip() for line in text.splitlines()] == ["known by", "your policy", "x402", "x402"]


def test_a_policy_that_a_buyer_would_refuse_is_refused_here(bare: dict[str, str], tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    mint = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
    policy.write_text(f'per_day = "1"\n[[tokens]]\nnetwork = "solana-devnet"\naddress = "{mint}"\n')
    ran = in_process(["tokens", "--policy", str(policy)], bare)
    assert ran.code == 2
    assert f"[[tokens]] in the policy file {policy} vouches for it on solana-devnet" in ran.err


def test_on_a_narrow_terminal_each_token_has_its_lines(bare: dict[str, str]) -> None:
    seen = terminal(["tokens", "--network", "base", "--network", "solana"], bare | {"NO_COLOR": "1"}, columns=60)
    assert max(map(len, seen.screen.splitlines())) <= 60
    assert "USDC  network base\n  contract 0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913\n  domain USD Coin" in seen.screen
    assert "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v" in seen.screen


def test_the_whole_list_has_a_line_for_each_token_and_says_what_it_left_out(given: dict[str, str]) -> None:
    seen = terminal(["tokens"], given | {"NO_COLOR": "1"}, columns=80)
    first, *lines = seen.screen.splitlines()
    assert first.split() == ["token", "network", "contract"]
    assert max(map(len, lines)) <= 80
    assert len(lines) == len({(token.network, token.address) for token in KNOWN}) + 1 + 2
    left_out = "Left out for want of room: domain, counts as, known by. `--network NAME` shows"
    assert lines[-2:] == [left_out, "all of a network."]
