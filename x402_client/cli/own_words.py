"""Says what errors say in the words of the command: ``--policy`` and its fields in place of Python's arguments."""

from __future__ import annotations

import re

from ..buyer import environment
from .in_use import policy_file, with_options

#: A cluster is named in code: the command's URLs have no option for it.
_CLUSTER = "belongs to a cluster, which the command does not look into; programs use RedisLedger with cluster=True"
#: Python's words, and the command's. The more exact ones come first. A field of a policy file is written as it stands
#: in the file.
_SAID: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(python), command)
    for python, command in (
        (
            r"an approver, a key of its own for each purchase, or a higher Policy\(same_request=\.\.\.\) allows it",
            "your yes at a terminal (without --yes and --max), a --key of its own for each purchase, or a higher "
            "same_request in the --policy file allows it",
        ),
        (r"buyer\.unfreeze\('([^'*]*)'\)", r"`x402 ledger unfreeze \1`"),
        (r"buyer\.unfreeze\(('[^']*')\)", r"`x402 ledger unfreeze \1`"),
        (r"(`x402 ledger unfreeze --allowance [^`]*`) or allowance\.unfreeze\(\)", r"\1"),
        (
            r"allowance\.unfreeze\(\)",
            "`x402 ledger unfreeze --allowance NAME`, with the name that `x402 ledger allowances --all` shows,",
        ),
        (r"buyer\.allowance\(\.\.\.\) opens it again", "the program that made it opens it again"),
        (r"buyer\.reconcile\(\)", "`x402 ledger reconcile`"),
        (r"buyer\.holds\(\)", "`x402 ledger holds`"),
        (r"Policy\(tokens=\[Token\(\.\.\.\)\]\)", "a table [[tokens]] in the --policy file"),
        (r"Policy\(tokens=\.\.\.\)", "[[tokens]] in the --policy file"),
        (r"write Token\(\.\.\., decimals=(\d+)\)", r"write decimals = \1"),
        (r"Policy\(http_hosts=\['([^']*)'\]\)", r'http_hosts = ["\1"] in the --policy file'),
        (r"""Policy\(hosts=\{["']([^"']*)["']: Limit\(\.\.\.\)\}\)""", r'a table [hosts."\1"] in the --policy file'),
        (r"Policy\(allow_zero=True\)", "allow_zero = true in the --policy file"),
        (r'Policy\(per_request="0\.10", per_day="5"\)', 'per_request = "0.10" and per_day = "5"'),
        (r"Policy\(permits=False\)", "permits = false in the --policy file"),
        (r"Policy\((\w+)=(\.\.\.|\[\.\.\.\])\)", r"\1 = \2 in the --policy file"),
        (r"""Policy\((\w+)=(\["[^"]*"\]|"[^"]*")\)""", r"\1 = \2 in the --policy file"),
        (r"\bonly_listed_hosts=True", "only_listed_hosts = true"),
        (r'Buyer\(rpc=\{"([^"]*)": "https://\.\.\."\}\)', r"--rpc \1=https://... (or X402_RPC)"),
        (r"Buyer\(rpc=\{\.\.\.\}\), or X402_RPC for the command", "--rpc, or X402_RPC"),
        (r"Buyer\(rpc=\.\.\.\)", "--rpc"),
        (r"The pause ends by itself; Buyer\(.*?\) sets it\.", "The pause ends by itself."),
        (r"belongs to a cluster; pass RedisLedger\(\.\.\., cluster=True\)", _CLUSTER),
        (r"Wallet\(evm=ContractSigner\(address, sign=\.\.\.\)\)", "a signer for contracts in a program of your own"),
        (r"give it as Wallet\(\w+=\.\.\.\), or in (X402_\w+)", r"give it in \1"),
        (r"pass them as Wallet\(solana=.*?\), or let (`x402 wallet import`) read them", r"\1 reads them"),
        (
            r"Wallet\.from_mnemonic\(words\) derives the keys from it, and (`x402 wallet import`) keeps them",
            r"\1 keeps its keys",
        ),
        (r"is given as Wallet\(solana=\.\.\.\)", "is given in X402_SOLANA_KEY"),
        (r"Wallet\.from_env\(\) reads", "give the key itself, in"),
        (r"; pass it to Wallet\(\.\.\.\)", "; `x402 wallet import` reads it from stdin"),
        (r"; Wallet\(solana=bytes\(json\.loads\(Path\(path\)\.read_text\(\)\)\)\) takes it as it is", ""),
        (r"this buyer does not use: Buyer\.from_env\(\.\.\.\) reads it", "is not used: --rpc stands instead of it"),
        (r"seconds: Buyer\(settle_timeout=\.\.\.\)", "seconds, or --timeout if that is longer"),
        (r"buyer\.purchase\(key=\.\.\.\)", "--key NAME"),
        (r"(?<=A higher )buyer\.purchase\(per_request=\.\.\.\)", "--max"),
        (r"as far as the Policy does", "as far as the policy does"),
        (r"(?<=A higher per_request in )the Policy", "the --policy file"),
        (r"in the hosts entry '([^']*)' of the Policy", r'for [hosts."\1"] in the --policy file'),
        (r"(?<=a higher limit in )the Policy", "the --policy file"),
        (r"Make the same request again", "Run the same command again"),
        (r"make the same request again", "run the same command again"),
        (
            r"is passed as bytes, Wallet\(solana=base58\.b58decode\(seed\)\)",
            "is given to `x402 wallet import` as numbers in []",
        ),
        (
            r"Wallet\(\w+=\.\.\.\) takes a key, not a file; Wallet\.from_keystore\(path\) reads an encrypted keystore"
            r"(, and Wallet\(.*\) a file of solana-keygen)?",
            "A key is needed here, and this names a file: `x402 wallet import < FILE` reads the key in it",
        ),
        (
            r"write policy=Policy\.from_env\(\)\.but\(per_request=\.\.\.\) \(in a program that runs the sandbox "
            r"itself: sandbox\.buyer\(policy\)\), or copy",
            "copy",
        ),
        (r"\bledger=PATH", "--ledger PATH"),
        (r'\b(per_request|same_request)="([^"]*)"', r'\1 = "\2"'),
    )
)
#: A reason or an advice: a refusal names both ways, of which one was used.
_MUST_EXIST = re.compile(r"must_exist=True(?: \(or X402_MUST_EXIST=1\))?|\bmust_exist\b")


def in_own_words(said: str, hold: str = "ID") -> str:
    """Return a message with our commands and options in place of the functions and arguments that it names."""
    said = said.replace("buyer.write_off(error.hold)", f"`x402 ledger write-off {hold}`")
    said = said.replace("error.hold.nonce", f"its nonce (`x402 ledger show {hold}`)")
    for python, command in _SAID:
        said = python.sub(command, said)
    said = _MUST_EXIST.sub(_must_exist(), said)
    return with_options(said.replace("the --policy file", policy_file()))


def _must_exist() -> str:
    """Return what asks for a ledger that exists: the variable where it is set, else the option."""
    return f"{environment.MUST_EXIST_VARIABLE}=1" if environment.must_exist() else "--must-exist"
