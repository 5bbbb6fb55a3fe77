"""POST /deposits/payment-method, from its body to its answer."""

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Refused
from exchange.rest import ApiRequest, read_body
from exchange.wallets.model import PaymentMethod, new_deposit
from exchange.wallets.request import DepositBody
from exchange.wallets.service import DepositMachine, Transfers, request_deposit
from exchange.wallets.views import View, deposit_view


def deposit_money(
    account_id: int,
    request: ApiRequest,
    *,
    methods: list[PaymentMethod],
    transfers: Transfers,
    machine: DepositMachine,
    clock: Clock,
) -> View | Refused:
    """Read, check, write down and start a deposit.

    Refuses:  as `read_body`, `new_deposit` and `request_deposit`, in this order.
    Raises:   UnavailableError, OutcomeUnknownError.
    """
    body = read_body(DepositBody, request.body)
    if isinstance(body, Refused):
        return body
    wanted = new_deposit(body.deposit(), account_id=account_id, methods=methods, created_at_ns=clock.now_ns())
    if isinstance(wanted, Refused):
        return wanted
    transfer = request_deposit(wanted, transfers=transfers, machine=machine)
    return transfer if isinstance(transfer, Refused) else deposit_view(transfer)
