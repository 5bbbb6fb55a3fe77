"""Where each chain's node answers: one secret for all, for providers put their keys into such addresses."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter, ValidationError

from exchange.kernel.errors import UnavailableError

_URLS = TypeAdapter(dict[str, str])


class ChainNodes:
    """The secret: a JSON object of URLs by chain. It is read at each asking, so that a new key serves at once."""

    def __init__(self, client: Any, secret_arn: str) -> None:
        self._client = client
        self._secret_arn = secret_arn

    def url(self, chain: str) -> str:
        """Where a chain's node answers. Raises UnavailableError, also for a chain that has none."""
        found = self.urls().get(chain)
        if not found:
            raise UnavailableError(f"{chain} has no node: exchange chains --list FILE --node-url URL names one")
        return found

    def urls(self) -> Mapping[str, str]:
        """All of them. Raises UnavailableError."""
        try:
            answer = self._client.get_secret_value(SecretId=self._secret_arn)
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError(f"the chains' nodes: {type(error).__name__}") from error
        try:
            return _URLS.validate_json(answer["SecretString"])
        except ValidationError:  # Its own text would show what is secret.
            raise UnavailableError("the chains' nodes: the secret is no JSON object of texts") from None

    def put(self, chain: str, url: str) -> None:
        """Say where a chain's node answers from now on; the others stay. Raises what botocore raises."""
        urls = json.dumps({**self.urls(), chain: url}, sort_keys=True)
        self._client.put_secret_value(SecretId=self._secret_arn, SecretString=urls)
