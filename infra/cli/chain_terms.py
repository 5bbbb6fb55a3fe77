"""What an operator says of a chain to list it: a file of TOML, read strictly."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from exchange.chains.model import Listing, Token
from exchange.instruments.model import Asset
from exchange.kernel.errors import InvariantError
from exchange.kernel.money import DecimalError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
Amount = Annotated[str, Field(max_length=40)]
GWEI = 10**9


class ChainTermsError(ValueError):
    """The file does not describe a chain; the message names the field."""


class _Terms(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TokenTerms(_Terms):
    """An asset on the chain; amounts are decimal text of the asset."""

    asset: str
    decimals: int = Field(ge=0, le=36)
    contract: Address | None = None
    deposit_min: Amount = "0"
    withdrawal_min: Amount = "0"
    network_fee: Amount = "0"
    gas: int = Field(default=21_000, gt=0)
    hot_min: Amount = "0"
    hot_max: Amount = "0"
    sweep_min: Amount = "0"

    def token(self, assets: Mapping[str, Asset]) -> Token:
        """The same, in units. Raises ChainTermsError for an asset that is not listed or an amount that is none."""
        asset = assets.get(self.asset)
        if asset is None:
            raise ChainTermsError(f"asset: {self.asset} is not listed; there are {', '.join(sorted(assets))}")
        names = ("deposit_min", "withdrawal_min", "network_fee", "hot_min", "hot_max", "sweep_min")
        try:
            units = {f"{name}_units": asset.parse(getattr(self, name)) for name in names}
        except DecimalError as error:
            raise ChainTermsError(f"{self.asset}: {error}") from error
        contract = (self.contract or "").lower()
        return Token(self.asset, asset.scale, self.decimals, contract, gas=self.gas, **units)


class ChainTerms(_Terms):
    """A chain."""

    chain: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,19}$")]
    chain_id: int = Field(gt=0)
    confirmations: int
    unlock_confirmations: int
    cold_address: Address | None = None
    raise_after_seconds: int = Field(default=180, gt=0)
    fee_max_gwei: int = Field(gt=0)
    tokens: list[TokenTerms]


def read_terms(path: Path, assets: Mapping[str, Asset], *, hot_address: str) -> Listing:
    """A chain as the file lists it. Raises ChainTermsError."""
    try:
        terms = ChainTerms.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        tokens = tuple(token.token(assets) for token in terms.tokens)
        listing = Listing(
            chain=terms.chain,
            chain_id=terms.chain_id,
            confirmations=terms.confirmations,
            unlock_confirmations=terms.unlock_confirmations,
            tokens=tokens,
            hot_address=hot_address,
            cold_address=(terms.cold_address or "").lower(),
            raise_after_seconds=terms.raise_after_seconds,
            fee_max=terms.fee_max_gwei * GWEI,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ChainTermsError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (tomllib.TOMLDecodeError, InvariantError) as error:
        raise ChainTermsError(str(error)) from error
    if listing.token("") is None:
        raise ChainTermsError("tokens: list the chain's own coin too, without a contract: fees are paid in it")
    return listing
