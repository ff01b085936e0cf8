"""Says what to do about an unresolved payment, by what is known of its money."""

from __future__ import annotations

from ..model.holds import OFTEN_PRESENTED


def next_step(settled: bool = False, refused: int = 0) -> str:
    """Return what to do about an unresolved payment. One that is not known to have settled was said to have a time.

    ``refused`` is the number of times that it was presented, if the last one brought another 402.
    """
    shown = "The chain shows that it was paid, so the content is owed. " if settled else ""
    later = "" if settled else ", and after that time it asks the chain first"
    todo = f"Make the same request again: it presents the same payment, never a second one{later}. "
    if refused >= OFTEN_PRESENTED:
        often = f"It was presented {refused} times, and another time"
        todo = (
            f"{often} will hardly help: many sellers answer a payment once. Ask the seller for the content or the "
            "money; error.hold.nonce names the payment. "
            if settled
            else f"{often} before then will hardly help. The chain has not shown that the money was taken. Make the "
            "same request again after that time: it asks the chain first, and buys anew if the payment was not used. "
        )
    risk = "" if settled else ", but it may still settle: then both are paid"
    return f"{shown}{todo}buyer.write_off(error.hold) gives the purchase up, so that the same request buys anew{risk}."
