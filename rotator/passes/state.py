"""What one pass knows of itself: whether it may begin something, and what it has changed."""

from collections.abc import Mapping

from rotator.errors import Denied, RotatorError
from rotator.passes.account import Account
from rotator.passes.preflight import Preflight
from rotator.printing.log import log_failure
from rotator.rules.claims import claims_path
from rotator.rules.decide import Plan


class PassState:
    """The state of one pass. Thread-safe: each fact only ever goes from not known to known."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._preflight = Preflight(account.store, account.timing)
        self._unfit: Mapping[str, RotatorError] = {}
        """By path: why the Vault token could not write there."""
        self.changed = False
        """Whether anything was asked of either side that could change it."""
        self.refused: RotatorError | None = None
        """The gateway refuses the bearer: nothing new is begun."""

    def prepare(self, plans: Mapping[str, Plan], *, identity: bool) -> None:
        """Never create what cannot be stored: ask what the token may do before anything is done with it.

        `plans` is by path; `identity`: the installation's is to be made, too. Raises Rejected when no rotation of
        this pass could be stored.
        """
        if any(plan.rotates for plan in plans.values()):
            self._preflight.check_token()
        writing = {path: path for path, plan in plans.items() if plan.writes}
        claimed = {
            claims_path(self._account.state_path, path): path for path, plan in plans.items() if plan.rotates
        }
        if writing:
            refused = self._preflight.refused_paths([*writing, *claimed])
            self._unfit = {(writing | claimed)[path]: error for path, error in refused.items()}
        if identity:
            self._preflight.check_identity(self._account.state_path)

    def unfit(self, path: str, plan: Plan) -> RotatorError | None:
        """Why the Vault token could not write what `plan` wants at `path`; None where it can."""
        return self._unfit.get(path) if plan.writes else None

    def check_token(self) -> None:
        """Raise Rejected unless the Vault token outlives one whole rotation that begins now."""
        self._preflight.check_token()

    def go_on(self, path: str, plan: Plan) -> None:
        """Raise when nothing may be begun: asked to stop, the bearer refused, or the token unfit."""
        self._account.stopping.check()
        if refused := self.refused:
            raise refused
        if error := self.unfit(path, plan):
            raise error

    def changing(self) -> None:
        """Note that something is about to be asked that could change either side."""
        self.changed = True

    def failed(self, event: str, error: RotatorError, **fields: object) -> None:
        """Log a failure as `event`; after one that condemns the bearer nothing new is begun."""
        if isinstance(error, Denied):
            self.refused = error
        log_failure(event, error, **fields)
