"""Messages that are filled in, held against the same messages as solders compiles them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from x402_client.schemes import solana_message as module
from x402_client.schemes.solana_message import (
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    Accounts,
    Layout,
    compiled,
    message,
)

#: Few, so that one account often has two parts: their number and their order are the compiler's matter.
KEYS = [str(Pubkey(bytes([n]) * 32)) for n in (1, 2, 7, 254)]
U64 = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from((0, 1, 2**64 - 1)))
ACCOUNTS = st.builds(
    Accounts,
    fee_payer=st.sampled_from(KEYS),
    payer=st.sampled_from(KEYS),
    pay_to=st.sampled_from(KEYS),
    mint=st.sampled_from(KEYS),
    program=st.sampled_from((TOKEN_PROGRAM, TOKEN_2022_PROGRAM)),
    decimals=st.integers(0, 255),
)
LAYOUTS = st.builds(
    Layout,
    accounts=ACCOUNTS,
    amount=U64,
    # A length of 128 and more takes two bytes.
    memo=st.none() | st.binary(max_size=256) | st.sampled_from((b"", b"m" * 127, b"m" * 128, b"m" * 256)),
    units=st.integers(0, 2**32 - 1),
    unit_price=U64,
    blockhash=st.binary(min_size=32, max_size=32),
)
PLAIN = Layout(Accounts(*KEYS, TOKEN_PROGRAM, 6), 10_000, b"0" * 32, 20_000, 1, bytes(32))


@given(LAYOUTS)
@example(PLAIN)
@example(PLAIN._replace(memo=None))
def test_a_message_is_what_solders_compiles(layout: Layout) -> None:
    assert message(layout) == compiled(layout)


def test_payments_to_one_seller_are_compiled_once() -> None:
    module._around.cache_clear()
    for number in range(20):
        layout = PLAIN._replace(
            amount=number, memo=b"%032d" % number, unit_price=number, blockhash=bytes([number]) * 32
        )
        assert message(layout) == compiled(layout)
    found = module._around.cache_info()
    assert (found.misses, found.hits) == (1, 19)


def test_sellers_without_end_take_a_bounded_place() -> None:
    most = module._around.cache_info().maxsize
    assert most is not None
    for number in range(most + 20):
        fee_payer = str(Pubkey(number.to_bytes(32)))
        message(PLAIN._replace(accounts=PLAIN.accounts._replace(fee_payer=fee_payer)))
    assert module._around.cache_info().currsize == most
