"""``python -m x402_client``: the command ``x402``."""

from .cli import main

if __name__ == "__main__":
    main()
