"""The adversary machine: scripts of hostile sellers, leaving callers and forgetful machines, judged by oracles.

``python -m tests.promises.adversary --seconds 3600 --ledger sqlite`` hunts by hand; a failure prints a short script.
"""
