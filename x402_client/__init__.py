"""x402_client: the buyer's side of x402. Wrap an HTTP client, and what answers 402 is paid, within limits."""

from . import errors
from .buyer import Buyer
from .limits import Limit
from .money import Money, Token
from .policy import Policy
from .receipts import receipt
from .wallet import Wallet

__version__ = "0.1.0"
__all__ = ["Buyer", "Limit", "Money", "Policy", "Token", "Wallet", "errors", "receipt"]
