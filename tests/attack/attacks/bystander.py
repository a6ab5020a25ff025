"""Searches that name somebody else as the one to be answered: how often is that one dialled?"""

from __future__ import annotations

import secrets
import socket
import threading
from typing import Final

from tests.attack.attack import Attack
from tests.attack.crowd import ALL, ONE_HOST, Crowd, Manner
from tests.attack.honest import greeting
from tests.attack.siege import Scene, Tally, siege
from tests.attack.stage import LOOPBACK, Stage
from tests.attack.verdict import Bounds
from tests.attack.victims import SELLER
from tests.integration.tls_by_hand import Identity
from tests.integration.watched_node import framed

# To each address: more would be a flood that an attacker has others make.
_DIALS_A_SECOND: Final = 5


class Bystander:
    """Somebody who listens and has nothing to do with it; counts who connects."""

    def __init__(self) -> None:
        self._listening = socket.create_server((LOOPBACK, 0), backlog=512)
        self.port: int = self._listening.getsockname()[1]
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.count += 1
            connection.close()


def _search_for_others(stage: Stage) -> Scene:
    """A seller, and links over which searches come for others that are all at one address."""
    victim, tally, bystander = SELLER.start(stage), Tally(), Bystander()

    def check() -> list[str]:
        most = round(_DIALS_A_SECOND * (stage.pace.assault_s + stage.pace.settle_s + stage.pace.calm_s))
        if bystander.count > most:
            return [f"somebody who has asked nothing was dialled {bystander.count} times, at most {most}"]
        return []

    manners = [_search_link(bystander.port) for _ in range(20)]
    crowd = Crowd(victim.port, manners, tally)
    return Scene(victim=victim, ask=SELLER.client(victim), pause_s=0.1, assaults=[crowd], check=check, tally=tally)


def _search_link(port: int) -> Manner:
    identity = Identity()
    me = greeting(False, identity.key)

    def more() -> bytes:
        ids = (secrets.randbelow(1 << 50) for _ in range(10))
        about = {"item": "apple", "ttl": 2, "host": LOOPBACK, "port": port}
        return b"".join(
            framed("search", id=each, returnPath=[secrets.randbelow(1 << 30) + 1, me["id"]], **about) for each in ids
        )

    return Manner(
        host=ONE_HOST,
        identity=identity,
        hello=lambda key: framed(**me),
        more=more,
        requests=10,
        every_s=0.1,
        read_bytes_s=ALL,
    )


ATTACKS: Final = [
    Attack(
        name="dials-seller",
        role="seller",
        tries="20 links search in the name of others, who are all said to be at one address",
        carry_out=siege(_search_for_others),
        bounds=Bounds(wait_s=1.0),
    ),
]
