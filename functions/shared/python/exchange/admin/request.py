"""What operators send about customers."""

from exchange.approvals.request import Reason
from exchange.rest import Body


class FreezeBody(Body):
    """Why a customer is frozen."""

    reason: Reason
