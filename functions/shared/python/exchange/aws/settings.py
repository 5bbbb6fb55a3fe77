"""Settings as a typed model of the environment, so that a missing variable is named before anything runs."""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError


class SettingsError(RuntimeError):
    """A variable of the environment is missing or wrong; the message names it."""


class EnvironmentSettings(BaseModel):
    """Subclass with one field a variable: `orders_table` is read from ORDERS_TABLE."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def load(cls) -> Self:
        """Read the environment. Raises SettingsError naming what is missing."""
        found = {name: os.environ[name.upper()] for name in cls.model_fields if name.upper() in os.environ}
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            names = ", ".join(sorted(str(issue["loc"][0]).upper() for issue in error.errors()))
            raise SettingsError(f"set these environment variables: {names}") from error


class ApiSettings(EnvironmentSettings):
    """What every API has in its environment: where budgets are shared, and what the edge proves itself by."""

    usage_table: str
    public_requests_per_second: int  # from one address by nobody in particular; 0: as many as they like
    origin_secret: str


class AccessSettings(ApiSettings):
    """What every API that knows its callers has in its environment."""

    api_keys_table: str
    users_table: str
    secrets_key_id: str
    user_pool_id: str
    user_pool_client_id: str

    def access(self) -> dict[str, str]:
        """The arguments of `exchange.users.access.authenticator`."""
        named = AccessSettings.model_fields.keys() - {"public_requests_per_second", "origin_secret"}
        return {name: getattr(self, name) for name in named}
