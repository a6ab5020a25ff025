"""Settings of the commands that ask a node that runs: which node is asked stands in a file, or in the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred, succeed

from tests.cli.operated import OperatedCase, OperatedNode
from twisted_bazaar.cli.main import main


class AskingSettingsTests(OperatedCase):
    """Two members of a ring, of which settings choose one."""

    def setUp(self) -> None:
        """Start them."""
        super().setUp()
        self.asked: list[str] = []
        for name in ("ann", "bob"):
            self.add(name, OperatedNode({"ring.status": self.noting(name)}))

    def noting(self, name: str) -> Any:
        """What notes that a node was asked for its status."""

        def answer(request: Mapping[str, Any]) -> Deferred[Any]:
            self.asked.append(name)
            return succeed({"role": "ring_peer", "member": False, "entries": 0})

        return answer

    def run_with(self, *words: str, **environment: str) -> Result:
        """Type a command where the environment has something to say."""
        runner = CliRunner(env={"XDG_STATE_HOME": str(self.root.parent), **environment})
        return runner.invoke(main, words, prog_name="bazaar")

    def test_environment(self) -> None:
        """A variable names the node that is asked, and an option another."""
        for words, environment, name in (
            ((), {"BAZAAR_NAME": "bob"}, "bob"),
            (("--name", "ann"), {"BAZAAR_NAME": "bob"}, "ann"),
            (("--name", "ann"), {"BAZAAR_STATE": "/nowhere"}, "ann"),
            (("--state", str(self.root / "ann")), {"BAZAAR_NAME": "bob"}, "ann"),
        ):
            result = self.run_with("ring", "status", *words, **environment)
            self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
            self.assertEqual(self.asked.pop(), name)

    def test_file(self) -> None:
        """So does the table of a command in a file, for all that stand under it; a variable wins over it."""
        Path("b.toml").write_text("[bazaar-ring]\nname = 'bob'\njson = true\n[bazaar-stock]\nname = 'ann'\n")
        result = self.run_with("ring", "status", BAZAAR_CONFIG="b.toml")
        self.assertEqual((result.exit_code, self.asked.pop()), (0, "bob"))
        self.assertEqual(json.loads(result.stdout)[0]["member"], False)
        self.run_with("ring", "status", "--config", "b.toml", BAZAAR_NAME="ann")
        self.assertEqual(self.asked.pop(), "ann")

    def test_refusals(self) -> None:
        """What cannot be is said once, by the command that was called, with the place where it was written."""
        both = {"BAZAAR_NAME": "ann", "BAZAAR_STATE": "x"}
        result = self.run_with("ring", "status", **both)
        places = "--state is from BAZAAR_STATE; --name is from BAZAAR_NAME"
        expected = f"bazaar ring status: --state and --name: give one of them; {places}\n"
        self.assertEqual((result.exit_code, result.stderr), (2, expected))
        Path("b.toml").write_text("[bazaar-rin]\nname = 'bob'\n")
        result = self.run_with("ring", "status", "--config", "b.toml")
        self.assertEqual((result.exit_code, result.stderr.count("\n")), (2, 1), result.stderr)
        self.assertIn("bazaar ring status: ", result.stderr)
        self.assertIn("[bazaar-rin] is no program or role; did you mean [bazaar-ring]?", result.stderr)
        result = self.run_with("ring", "status", "--name", "ann", BAZAAR_NAM="bob")
        self.assertEqual(result.stderr, "bazaar ring status: BAZAAR_NAM sets nothing; did you mean BAZAAR_NAME?\n")
