"""What operators send about proposals."""

from typing import Annotated

from pydantic import Field

from exchange.rest import Body

PAYLOAD_FIELDS_MAX = 20
PAYLOAD_TEXT_CHARACTERS_MAX = 12_000
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Reason = Annotated[str, Field(min_length=3, max_length=300)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$")]
# Which name may have how much of it, its kind says.
Text = Annotated[str, Field(max_length=PAYLOAD_TEXT_CHARACTERS_MAX)]


class ProposalBody(Body):
    """What an operator wants done; `key` names the request, so that a repeat of it is no second proposal."""

    kind: Annotated[str, Field(max_length=40)]
    payload: Annotated[dict[Name, Text], Field(max_length=PAYLOAD_FIELDS_MAX)]
    reason: Reason
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


class DecisionBody(Body):
    """An approval or a rejection of what `payload_hash` names."""

    payload_hash: Hash
    reason: Annotated[str, Field(max_length=300)] = ""
