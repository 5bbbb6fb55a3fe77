"""What operators send about customers and about settlement."""

from exchange.approvals.request import Reason
from exchange.rest import Body


class FreezeBody(Body):
    """Why a customer is frozen."""

    reason: Reason


class RetryBody(Body):
    """Why settlement is tried again at once."""

    reason: Reason
