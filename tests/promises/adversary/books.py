"""The books and the four oracles: what was asked for, what settled, what arrived, what each end said of the money."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from x402_client import events
from x402_client.model.holds import MARGIN

from .allowed import Allowances
from .broken import OVER, TWICE, UNTRUE, WITHHELD, Broken
from .callers import End
from .chain import Chain, Payment
from .clock import real
from .events import Call, Setting
from .exposed import Exposed
from .openings import Openings
from .seller import GOODS
from .terms import PRICE
from .things import THINGS
from .visits import Visit

#: The day of a budget, less what may pass between a reservation and the arrival of its payment.
DAY = 86_400 - 60
#: Real seconds within which a machine may be too busy to see what happened first.
CLOSE = 0.03
#: Real seconds for which a caller waited for what was here: then it was withheld.
PATIENT = 0.15


@dataclass
class Made:
    """One call, in the books."""

    call: Call
    visit: Visit
    started: float
    end: End | None = None
    #: Another call for the same thing, which its caller gave up on, was running when it began.
    beside: bool = False
    #: Its program refuses a ledger that is not there.
    strict: bool = False


class Books:
    """What callers asked for, and how often each thing may settle. A thing is of one wallet."""

    def __init__(self, chain: Chain, setting: Setting, alphabet: frozenset[str]) -> None:
        self.chain, self.setting, self.alphabet = chain, setting, alphabet
        self.made: dict[int, Made] = {}
        self.opened: Counter[tuple[int, int]] = Counter()
        self.undelivered: Counter[tuple[int, int]] = Counter()
        #: The user itself gives purchases up at this moment.
        self.user_gives_up = False
        self.endpoint_lied = False
        #: Calls that got all of the content.
        self.delivered = 0
        self.allowed = Allowances(chain, setting)
        self.openings, self.exposed = Openings(chain, setting), Exposed(chain, setting)
        #: When the ledger was copied, the buyers that saw more than the copy has, and later calls by others.
        self._kept_at: float | None = None
        self._knows: set[tuple[int, int]] = set()
        self._knows_any: set[tuple[int, int]] = set()
        self._forgiven: set[int] = set()
        self._put_back = False
        #: All was lost, and none began anew since; when a program said that the ledger is older than it knows.
        self._gone, self._known_at = False, float("inf")

    @property
    def begun(self) -> bool:
        """Return True if something was paid."""
        return bool(self.chain.payments)

    @property
    def lied_to(self) -> bool:
        """Return True if the only endpoint lied: it may give back up to a budget more."""
        return self.setting.alone and self.endpoint_lied

    def begin(self, made: list[Made]) -> None:
        """Enter calls that start at once. Those for a thing that was not delivered go on with that purchase."""
        self.openings.begin(made)
        starting = Counter(one.visit.thing for one in made)
        for thing, number in starting.items():
            more = max(0, number - self.undelivered[thing])
            if THINGS[thing[0]].key:
                more = max(0, min(more, 1 - self.opened[thing]))  # a key names one payment
            self.opened[thing] += more
            self.undelivered[thing] += more
        for one in made:
            self._forgive(one)
            self.made[one.visit.number] = one
            self._beside_running(one)

    def _beside_running(self, one: Made) -> None:
        """Open a purchase of its own beside a call whose headers are here, and in another process."""
        for other in self.made.values():
            if other.end is None or other.end.how != "running" or other.visit.thing != one.visit.thing:
                continue
            one.beside = True
            if other.visit.headed is not None or one.call.where != "here":
                self.opened[one.visit.thing] += 1

    def finish(self, number: int, end: End) -> None:
        """Enter an end, and hold it to oracles 3 and 4."""
        made = self.made[number]
        made.end = end
        thing = made.visit.thing
        if end.how == "running":
            if made.call.at <= self.setting.read * 2:  # not overdue yet: beside it the same request is its own purchase
                self.opened[thing] += 1
            return
        self.delivered += end.whole
        if end.whole and end.how == "stopped":
            self.opened[thing] += 1  # it had all of it: delivered or not
        elif made.visit.empty and (end.how != "answer" or made.call.stop == "drop"):
            self.opened[thing] += 1  # there was nothing to read: delivered or not
        elif end.whole or (end.closed and end.status is not None and end.status < 300):
            self.undelivered[thing] = max(0, self.undelivered[thing] - 1)
        elif (end.how == "dead" or made.call.stop == "interrupt") and (made.visit.complete or made.visit.odd):
            self.opened[thing] += 1  # nobody can say how much its code had
        elif end.status is not None and 200 <= end.status < 300 and end.how == "answer" and made.call.stop != "drop":
            self.undelivered[thing] = max(0, self.undelivered[thing] - 1)  # an odd 2xx, read to its end
        self.openings.finish(made, end)
        if self.openings.is_free(made, end) and not self.undelivered[thing]:
            # It cost nothing, so what was opened for it stays unused.
            self.opened[thing] = min(
                self.opened[thing], sum(one.thing == thing for one in self.chain.payments.values())
            )
        self._sees(made, end)
        self._races(made, end)
        self._withheld(made, end)
        self._truth(made, end)

    def _races(self, made: Made, end: End) -> None:
        """One that came to its end just as another one started: either order may be meant."""
        for other in self.made.values():
            same = other is not made and other.visit.thing == made.visit.thing
            if same and made.call.stop == "abandon" and abs(other.started - end.at) < CLOSE:
                self.opened[made.visit.thing] += 1

    def note(self, event: events.Event) -> None:
        """Learn from an event of the buyer that a purchase was given up, or under which allowances one is made."""
        if isinstance(event, events.WrittenOff):
            self.given_up(event.hold.nonce, self.user_gives_up)
        elif isinstance(event, events.Presented):
            self.allowed.presented(event.hold.nonce or "", event.hold.path)

    def given_up(self, nonce: str | None, by_user: bool) -> None:
        """A purchase that was given up may be made anew; the policy gives up by itself only what expired."""
        self.openings.given_up(nonce)
        payment = self.chain.payments.get(nonce or "")
        if payment is not None and (by_user or self._expired(payment)):
            self.opened[payment.thing] += 1

    def _expired(self, payment: Payment) -> bool:
        """Return True if a buyer may say that a payment expired. Its own clock decides only where no chain speaks."""
        clock = self.chain.clock
        if clock.chain() >= payment.expires:
            return True
        own = clock.wall() - payment.expires
        return own >= 0 if payment.settled is not None else own >= MARGIN and not self.chain.speaks

    def shaken(self) -> None:
        """Something was taken from the ledger: programs may know less of it than before."""
        self.openings.lost()
        self.exposed.lost()

    def kept(self) -> None:
        """The ledger was copied."""
        if not self._put_back:
            self._kept_at, self._knows = self.chain.clock.chain(), set()

    def put_back(self) -> None:
        """The copy was put back. Who saw nothing since cannot know of it, and is not blamed."""
        self.shaken()
        self.allowed.lost()
        self._put_back = self._put_back or self._kept_at is not None
        self._gone, self._known_at = False, float("inf")

    def emptied(self) -> None:
        """All was lost. Who never saw the ledger cannot know of it, and is not blamed."""
        self.shaken()
        self.allowed.lost()
        if not self._put_back:
            self._put_back, self._knows = True, set(self._knows_any)
        self._gone, self._known_at = True, float("inf")

    def cloned(self) -> None:
        """The second program knows what the first one does."""
        self.restarted(1)
        for known in (self._knows, self._knows_any):
            known.update([(1, wallet) for program, wallet in known if not program])

    def restarted(self, program: int) -> None:
        """A program began anew: it knows nothing."""
        for known in (self._knows, self._knows_any):
            known.difference_update([one for one in known if one[0] == program])

    def _sees(self, made: Made, end: End) -> None:
        who = (made.call.program, made.call.wallet)
        if not self._put_back and made.visit.presented and made.call.where == "here":
            self._knows.add(who)
            self._knows_any.add(who)
        if self._put_back and who in self._knows and "older" in end.error:
            self._known_at = min(self._known_at, real())

    def _forgive(self, made: Made) -> None:
        """Do not blame a call whose program cannot know what was lost, until one that knew it has seen the ledger."""
        knows = (made.call.program, made.call.wallet) in self._knows and made.call.where == "here"
        if not self._put_back or knows or made.started > self._known_at or (self._gone and made.strict):
            return
        self._forgiven.add(made.visit.number)
        self._gone = False  # it begins a ledger anew, and so there is one

    # --- the oracles

    def check(self) -> None:
        """Hold what happened so far to oracles 1 and 2."""
        blamed = [one for one in self.chain.payments.values() if one.call not in self._forgiven]
        settled = Counter(one.thing for one in blamed if one.settled is not None)
        for thing, number in settled.items():
            if number > self.opened[thing] and not self.lied_to:
                asked = THINGS[thing[0]]
                raise Broken(
                    TWICE, f"{asked.method} {asked.host}{asked.path} of wallet {thing[1]} settled {number} times, "
                    f"and was asked for {self.opened[thing]} times",
                )  # fmt: skip
        now = self.chain.clock.chain()
        out = [one for one in blamed if one.handed > now - DAY and self._at_risk(one)]
        for name, ending, cents in self._budgets():
            total = sum(one.amount for one in out if one.host.endswith(ending))
            if total > cents * PRICE:
                raise Broken(OVER, f"{total} units are out under {cents * PRICE} a day for {name}")
        self.allowed.check([one for one in blamed if self._at_risk(one)], self.made.values())
        self.exposed.check(self._forgiven if not self.endpoint_lied else self.made)
        self._check_loops(out)
        if self.setting.lax and self.setting.wildcard is not None and not self.lied_to:
            self._check_beside_lax([one for one in blamed if self._at_risk(one)], self.setting.wildcard * PRICE)

    def _check_loops(self, out: list[Payment]) -> None:
        """Hold the payments for each request without a key to how often the policy pays for one."""
        same = self.setting.same
        if same is None or self.lied_to:
            return
        for thing, number in Counter(one.thing[0] for one in out if not THINGS[one.thing[0]].key).items():
            if number > same:
                raise Broken(OVER, f"{number} payments a day for thing {thing}, and {same} are allowed")

    def _check_beside_lax(self, blamed: list[Payment], most: int) -> None:
        """Hold each payment of the policy with the wildcard to its budget; the other's are counted and not refused.

        What is at risk now was so then.
        """
        below = [one for one in blamed if one.host.endswith(".shop.test")]
        for last in (one for one in below if not one.thing[1]):
            known = [one for one in below if last.handed - DAY < one.handed <= last.handed and self._knew(last, one)]
            total = sum(one.amount for one in known)
            if total > most:
                raise Broken(OVER, f"{total} units were out under {most} a day for *.shop.test in call {last.call}")

    def _knew(self, last: Payment, other: Payment) -> bool:
        """Return True if a payment was counted when another one was reserved, in its call or in one before it."""
        if not other.thing[1]:
            return True
        calls = [one for number, one in self.made.items() if one.visit.thing == last.thing and number <= last.call]
        began = min(one.started for one in calls if one.visit.number == last.call or not (one.end and one.end.whole))
        end = self.made[other.call].end
        return end is not None and end.how != "running" and end.at < began

    def _at_risk(self, payment: Payment) -> bool:
        return payment.settled is not None or self.chain.lives(payment)

    def _budgets(self) -> list[tuple[str, str, int]]:
        said = self.setting
        below = ("*.shop.test", ".shop.test", None if said.lax else said.wildcard)
        found = [("all", "", said.budget), below, ("a.shop.test", "a.shop.test", said.host)]
        back = said.budget if self.lied_to else 0
        return [(name, ending, cents + back) for name, ending, cents in found if cents is not None]

    def _withheld(self, made: Made, end: End) -> None:
        complete, outlasted = made.visit.complete, made.visit.outlasted
        if outlasted is not None and end.whole and end.at >= outlasted:
            raise Broken(
                WITHHELD, f"call {made.visit.number} got its content when the ledger was no longer busy: {end}"
            )
        if complete is None or end.whole or end.how in ("dead", "content") or end.at - complete < CLOSE:
            return
        if made.call.stop in ("cancel", "interrupt", "deadline", "drop", "break", "handled"):
            return
        if made.call.stop == "timeout" and end.at - complete < PATIENT:
            return
        if end.how == "raised" and ("Timeout" in end.error.partition(":")[0] or "timed out" in end.error):
            return
        raise Broken(WITHHELD, f"call {made.visit.number} was sent all {len(GOODS)} bytes and ended in {end}")

    def _says_so_itself(self, end: End) -> bool:
        return "already" in self.alphabet or end.kind != "AlreadyPaid"

    def _has_to_tell(self, made: Made) -> bool:
        if made.beside:
            return "joined" in self.alphabet
        return bool(self.alphabet & {"tell", "paid lead"})

    def _truth(self, made: Made, end: End) -> None:
        presented = [self.chain.payments[nonce] for nonce in dict.fromkeys(made.visit.presented)]
        if end.how == "dead":
            return
        refused = self.setting.loss != "0" and end.kind == "OverLimit" and "loss" not in self.alphabet
        if (
            end.money == "untouched"
            and not refused
            and not self.lied_to
            and any(self._at_risk(one) for one in presented)
        ):
            raise Broken(UNTRUE, f"a payment is out, and call {made.visit.number} says untouched: {end}")
        if end.money == "spent" and end.nonce is not None and not self.endpoint_lied and self._says_so_itself(end):
            payment = self.chain.payments.get(end.nonce)
            if payment is None or (payment.settled is None and not payment.lied):
                raise Broken(UNTRUE, f"nothing was settled, and call {made.visit.number} says spent: {end}")
        if self._has_to_tell(made) and presented and end.how == "raised" and not end.told:
            raise Broken(UNTRUE, f"a payment is out, and the failure of call {made.visit.number} says nothing: {end}")
