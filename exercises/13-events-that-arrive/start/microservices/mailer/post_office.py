"""The post office: a stand-in for a mail provider. What is in its folder `new` is with the customer.

It is kinder than most: a mail has a name, and the same mail delivered twice is one mail, because a file takes the place
of a file with its name, whole or not at all. So the postman may deliver again what he is not sure about. SMTP gives no
such promise; the exercise says what one does then.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PostOffice:
    """A folder of mails."""

    folder: Path
    """SHOP_MAIL_FOLDER: where the mails are (default `mail` below SHOP_HOME)."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> PostOffice:
        """The folder that the environment names."""
        home = Path(env.get("SHOP_HOME", ".shop"))
        return cls(Path(env.get("SHOP_MAIL_FOLDER") or home / "mail").absolute())

    def deliver(self, message_id: str, text: str) -> None:
        """Deliver a mail; the second time it changes nothing."""
        draft = self.folder / "tmp" / f"{message_id}.{os.getpid()}.{threading.get_ident()}"
        mail = self.folder / "new" / f"{message_id}.eml"
        for file in (draft, mail):
            file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8", newline="")
        draft.replace(mail)
