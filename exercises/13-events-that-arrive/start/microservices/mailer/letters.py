"""The text of a mail. Each call writes a new mail, with a Message-ID of its own."""

from __future__ import annotations

import uuid
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from ..chassis.errors import Problem

DOMAIN = "shop.example"


class Undeliverable(Problem):
    status, slug, title = 422, "undeliverable", "No mail can be sent to this address"


def confirmation(order: dict[str, Any]) -> dict[str, str]:
    """The confirmation of an order, as a row of `mails`; raises Undeliverable for an address that cannot be written."""
    name, total = order["name"], order["total_cents"]
    message_id = f"{order['order_id'][:8]}-{uuid.uuid4().hex[:8]}"
    mail = EmailMessage(policy=SMTP)
    mail["Message-ID"] = f"<{message_id}@{DOMAIN}>"
    mail["From"] = f"The shop <orders@{DOMAIN}>"
    mail["To"] = _address(name, order["email"])
    mail["Subject"] = f"Your order {order['order_id']}"
    mail.set_content(
        f"Dear {name},\n\n"
        f"thank you for your order of {order['at'][:10]}. It is confirmed and paid.\n\n"
        f"Total: EUR {total // 100:,}.{total % 100:02d}\n"
    )
    return {"message_id": message_id, "text": mail.as_string()}


def _address(name: str, email: str) -> Address:
    """The address, when an ordinary mail server takes it: without SMTPUTF8, only ASCII can stand in front of the @."""
    try:
        email.encode("ascii")
        return Address(name, addr_spec=email)
    except (MessageError, ValueError):
        raise Undeliverable(f"The post office does not take the address {email}.", email=email) from None
