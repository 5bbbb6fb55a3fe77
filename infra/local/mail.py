"""The laptop's mail: the emulator delivers none and keeps all, and shows it at an address of its own."""

import json
import re
from dataclasses import dataclass
from typing import Any

import urllib3

from infra.local.settings import LaptopSettings

_CODE = re.compile(r"\b(\d{6})\b")


@dataclass(frozen=True, slots=True)
class Message:
    """One mail."""

    to: tuple[str, ...]
    subject: str
    text: str


def messages(settings: LaptopSettings, address: str = "") -> list[Message]:
    """Every mail to an address, or to anybody, the oldest first."""
    mini, local = f"{settings.endpoint_url}/_ministack/ses/messages", f"{settings.endpoint_url}/_aws/ses"
    answer = urllib3.request("GET", local if settings.localstack_url else mini, timeout=10)
    body = json.loads(answer.data)
    # MiniStack groups by AWS account, LocalStack lists.
    found = body["messages"]
    kept = [mail for group in found.values() for mail in group] if isinstance(found, dict) else found
    read = [_message(mail) for mail in kept]
    return [mail for mail in read if not address or address.lower() in {to.lower() for to in mail.to}]


def latest_code(settings: LaptopSettings, address: str) -> str:
    """The newest six-digit code mailed to an address. Raises LookupError where none was."""
    for mail in reversed(messages(settings, address)):
        found = _CODE.search(mail.text)
        if found:
            return found.group(1)
    raise LookupError(f"no code was mailed to {address}")


def _message(mail: dict[str, Any]) -> Message:
    to = mail.get("To") or (mail.get("Destination") or {}).get("ToAddresses", [])
    body = mail.get("BodyText") or (mail.get("Body") or {}).get("text_part") or mail.get("BodyHtml") or ""
    return Message(tuple(to), str(mail.get("Subject", "")), str(body))
