"""The first operator. Those after them are made by whoever may administer the pool: docs/operators.md."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

GROUPS = ("superadmin",)


def invite_first(email: str, outputs: Mapping[str, str], clients: Callable[[str], Any]) -> bool:
    """Invite one operator by mail, if there is none yet. A second factor is asked for at the first login.

    Returns:  whether a mail was sent.
    """
    cognito, pool = clients("cognito-idp"), outputs["OperatorPoolId"]
    if cognito.list_users(UserPoolId=pool, Limit=1)["Users"]:
        return False
    attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
    user = cognito.admin_create_user(
        UserPoolId=pool,
        Username=email,
        UserAttributes=attributes,
        # Mailed to them and to nobody else, good for a day and one login.
        TemporaryPassword=f"{secrets.token_urlsafe(16)}-Aa1",
        DesiredDeliveryMediums=["EMAIL"],
    )["User"]
    for group in GROUPS:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=user["Username"], GroupName=group)
    return True
