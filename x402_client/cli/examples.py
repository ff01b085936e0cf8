"""Examples of every command, for its help and for the manual page: what to type, and what it does."""

from __future__ import annotations

from collections.abc import Iterator

#: By the command's words. The first part is typed as it stands, after ``x402``.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("demo", "See it work, with invented money."),
        ("wallet new", "Make a wallet, and read how to fill it."),
        ("get https://example.com/weather", "Fetch, and be asked before paying."),
    ),
    "demo": (
        ("demo", "Pay on two chains, and see what is not paid."),
        ("demo | less", "Read it page by page."),
    ),
    "status": (
        ("status", "See wallet, budgets and what is open."),
        ("status --offline", "Leave the chains alone."),
        ("status --json", "Hand it to a program."),
    ),
    "get": (
        ("get http://127.0.0.1:8402/weather", "Be asked before paying what `x402 sandbox` sells."),
        ("get https://example.com/weather --max 0.05", "Pay up to five cents, unasked."),
        ("get https://example.com/report -o report.pdf --yes", "Pay within the policy."),
    ),
    "quote": (
        ("quote http://127.0.0.1:8402/weather", "See what `x402 sandbox` asks in another terminal."),
        ("quote https://example.com/weather --json", "Hand them to a program."),
        ("quote https://example.com/jobs -d '{\"n\": 1}'", "Ask the price of a POST."),
    ),
    "search": (
        ("search weather forecast", "Look for something, in the public lists."),
        ("search weather --max 0.05 --network base --payable", "Only what you would pay."),
        ("search --facilitator list.example.com --json", "Hand one's list to a program."),
    ),
    "doctor": (
        ("doctor http://127.0.0.1:8402/weather", "Examine `x402 sandbox`, and your own funds."),
        ("doctor localhost:4021/weather --json", "Examine your own seller in a test."),
    ),
    "mcp": (
        ("mcp --config claude-desktop", "See what to paste, and where."),
        ("mcp --policy policy.toml", "What the host runs then."),
        ("mcp --host api.example.com", "Let the model ask one host only."),
    ),
    "tokens": (
        ("tokens", "List all that is known."),
        ("tokens --network base --network solana", "List those of two networks."),
        ("tokens --policy policy.toml --json", "Include the tokens of a policy."),
    ),
    "decode": (
        ('decode \'{"success":false,"errorReason":"expired"}\'', "Read one value, a receipt here."),
        ("decode - < answer.txt", "Read what `curl -i URL > answer.txt` kept."),
        ("decode - --json < answer.txt", "Hand the findings to a program."),
    ),
    "sandbox": (
        ("sandbox", "Run a seller with invented money, until Ctrl-C."),
        ("sandbox --port 0 --example pay.py", "Take a free port; write a program that pays it."),
        ("sandbox --fault drop-after-settling --redeliver", "Lose an answer; deliver when asked again."),
    ),
    "wallet": (
        ("wallet new", "Make the wallet that pays."),
        ("wallet fund", "Read how to put money into it."),
        ("wallet balance", "See what arrived."),
    ),
    "wallet new": (
        ("wallet new", "Make keys for EVM chains and for Solana."),
        ("wallet new agent --evm --keyring", "Make one that needs no typed passphrase."),
        ("wallet new --passphrase-file secret.txt", "Make one in a script."),
    ),
    "wallet import": (
        ("wallet import", "Type a key or a mnemonic; it does not show."),
        ("wallet import solana < id.json", "Take the file of solana-keygen."),
    ),
    "wallet show": (
        ("wallet show", "List all wallets and their addresses."),
        ("wallet show agent --json", "Hand one's addresses to a program."),
    ),
    "wallet fund": (
        ("wallet fund", "See where to send money, and how much."),
        ("wallet fund --network polygon", "See it for another network."),
    ),
    "wallet balance": (
        ("wallet balance", "Look at the usual networks."),
        ("wallet balance --network base-sepolia", "Look at one network."),
        ("wallet balance --rpc base=https://rpc.example.com", "Ask an endpoint of yours."),
    ),
    "ledger": (
        ("ledger", "See where the money went in the last thirty days."),
        ("ledger holds", "See what is open, and what to do."),
        ("ledger freeze", "Stop all payments at once."),
    ),
    "ledger spent": (
        ("ledger spent", "Sum up the last thirty days."),
        ("ledger spent --days 0 --json", "Sum up all, for a program."),
    ),
    "ledger list": (
        ("ledger list", "List the latest payments."),
        ("ledger list --state unresolved --since 24h", "Narrow them down."),
        ("ledger list --json", "Hand them to a program."),
    ),
    "ledger show": (
        ("ledger show 4f1c09ab", "See one payment; its id may be cut short."),
        ("ledger show 0x7d50b9", "Find it by its nonce or its transaction."),
        ("ledger show 4f1c09ab --json", "Hand it to a program."),
    ),
    "ledger holds": (
        ("ledger holds", "List what is open, and what to do."),
        ("ledger holds --json", "Hand it to a program."),
    ),
    "ledger allowances": (
        ("ledger allowances", "List what is left of each allowance."),
        ("ledger allowances --all --json", "Hand all of them to a program."),
    ),
    "ledger close": (
        ("ledger close run-42", "Close an allowance for good, after a question."),
        ("ledger close run-42 --yes", "Close it in a script."),
    ),
    "ledger retry": (
        ("ledger retry 4f1c09ab", "Present the same payment once more."),
        ("ledger retry 4f1c09ab 'https://example.com/a?b=1'", "Give the query: the ledger keeps none."),
        ("ledger retry 4f1c09ab -d @body.json -o answer.json", "Give the body, and keep the answer."),
    ),
    "ledger reconcile": (
        ("ledger reconcile", "Ask the chains what settled."),
        ("ledger reconcile --rpc base=https://rpc.example.com", "Ask an endpoint of yours."),
    ),
    "ledger write-off": (
        ("ledger write-off 4f1c09ab", "Give a purchase up, after a question."),
        ("ledger write-off 4f1c09ab 9a02d17e --yes", "Give two up, in a script."),
    ),
    "ledger export": (
        ("ledger export --csv -o payments.csv", "Write every payment for a spreadsheet."),
        ("ledger export --json --days 7", "Write the last week for a program."),
    ),
    "ledger freeze": (
        ("ledger freeze", "Stop all payments at once."),
        ("ledger freeze api.example.com", "Stop payments to one host."),
        ("ledger freeze --allowance run-42", "Stop an allowance, and those inside it."),
    ),
    "ledger unfreeze": (
        ("ledger unfreeze", "Lift the freeze of all payments."),
        ("ledger unfreeze api.example.com", "Lift the freeze of one host."),
    ),
    "ledger freezes": (
        ("ledger freezes", "List what is stopped."),
        ("ledger freezes --json", "Hand it to a program."),
    ),
    "ledger migrate": (
        ("ledger migrate --ledger postgresql://db/app", "Make the schema, or bring it to this version."),
        ("ledger migrate", "The same for the ledger of X402_LEDGER."),
    ),
    "ledger accept": (
        ("ledger accept", "Go on from what is left."),
        ("ledger accept --ledger spend.db", "Do so with another ledger."),
    ),
    "policy": (
        ("policy init", "Write a policy to begin with."),
        ("policy check policy.toml", "Read a policy in words."),
        ("policy check policy.toml example.com/weather", "Try it on a seller."),
    ),
    "policy init": (
        ("policy init", "Write policy.toml here."),
        ("policy init strict.toml", "Write one of another name."),
    ),
    "policy check": (
        ("policy check policy.toml", "Read a policy in words."),
        ("policy check policy.toml example.com/weather", "Try it on a seller."),
    ),
    "manual": (
        ("manual", "List the topics."),
        ("manual limits", "Read a topic."),
        ("manual examples/pay_with_httpx > pay.py", "Take a program."),
    ),
}


def examples_of(words: str) -> tuple[tuple[str, str], ...]:
    """Return the examples of a command: what is typed, and what it does."""
    return tuple((f"x402 {typed}", does) for typed, does in EXAMPLES.get(words, ()))


def help_lines(words: str) -> Iterator[str]:
    """Yield the lines of a command's examples for its help."""
    for typed, does in examples_of(words):
        yield f"  {typed}"
        yield f"      {does}"
