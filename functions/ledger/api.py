"""Closings of the books over REST, and each customer's own proof of what they are owed."""

from functools import partial
from itertools import islice
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind
from exchange.aws.settings import AccessSettings
from exchange.books.files import own_proofs
from exchange.books.model import Closing
from exchange.books.store import ClosingItem, ClosingStore, S3Vault
from exchange.books.views import closing_view, proof_view
from exchange.kernel.errors import Code, Refused
from exchange.ledger.model import customer_account
from exchange.rest import Api, ApiRequest, Reply, read_number_page
from exchange.usage.gate import guard
from exchange.users.access import authenticator
from exchange.users.model import Principal, Scope


class Settings(AccessSettings):
    """The environment of this function."""

    closings_table: str
    archive_bucket: str


settings = Settings.load()
app = Api("ledger", guard=partial(guard, settings))
handler = app
bind(ClosingItem, settings.closings_table)
closings = ClosingStore()
vault = S3Vault(client("s3"), settings.archive_bucket)
viewer = partial(authenticator(**settings.access()).authenticate, scope=Scope.VIEW)


@app.endpoint("GET", "/v1/proofs")
def list_closings(request: ApiRequest) -> Any:
    """Every closing of the books, newest first, as signed."""
    page = read_number_page(request)
    if isinstance(page, Refused):
        return page
    found = islice(closings.page(page.after, page.before), page.limit)
    newest_first = sorted(found, key=lambda closing: -closing.number)
    headers = {"CB-BEFORE": str(newest_first[0].number)} if newest_first else {}
    if newest_first and newest_first[-1].number > 1:
        headers["CB-AFTER"] = str(newest_first[-1].number)
    return Reply([closing_view(closing) for closing in newest_first], headers=headers)


@app.endpoint("GET", "/v1/proofs/{closing}", caller=viewer)
def own_proof(_: ApiRequest, who: Principal, **path: str) -> Any:
    """What a closing (a number, or `latest`) owes the caller's profile, with the proof of it."""
    closing = _closing(path["closing"])
    if closing is None:
        return Refused(Code.PROOF_NOT_FOUND, "closing: no such closing; GET /v1/proofs lists them")
    return proof_view(closing, own_proofs(closing, customer_account(who.account_id), vault=vault))


def _closing(name: str) -> Closing | None:
    if name == "latest":
        return closings.last()
    return closings.closing(int(name)) if name.isascii() and name.isdigit() and len(name) < 10 else None
