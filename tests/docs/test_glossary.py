"""The glossary names modules that there are, and each term of the field is found by a search of the modules, too."""

from __future__ import annotations

from typing import Final

from tests.docs.pages import ROOT, PageTests, read_page, tables, words

PAGE: Final = read_page("docs/glossary.md")
PACKAGE: Final = ROOT / "twisted_bazaar"
# So much of a module is read first.
_FIRST_LINES: Final = 6
_TERMS: Final = (
    *("anti-entropy", "failure detector", "read repair", "token bucket", "backpressure", "republish"),
    *("max-min fair", "super-seeding", "happy eyeballs", "schema migration", "eclipse", "amplification"),
    *("flow control", "address validation", "duplicate filter", "fair queueing", "rarest first", "hedged request"),
    *("dynamic query", "query routing", "stabilization", "churn", "congestion control", "choking", "fast resume"),
)


class GlossaryTests(PageTests):
    """The glossary, as somebody uses it who looks for the module of a term."""

    def test_modules(self) -> None:
        """Each module that a row names exists."""
        named = [word for table in tables(PAGE) for row in table for word in words(row["Where"])]
        self.assertEqual([name for name in named if not _is_there(name)], [])

    def test_terms(self) -> None:
        """Each of these terms is in a row, and in the first lines of a module that the row names."""
        rows = [row for table in tables(PAGE) for row in table]
        lacking = []
        for term in _TERMS:
            where = [name for row in rows if term in row["Term"].lower() for name in words(row["Where"])]
            if not any(term in _first_lines(name) for name in where):
                lacking.append(term)
        self.assertEqual(lacking, [])


def _is_there(name: str) -> bool:
    path = PACKAGE / name
    return path.is_dir() or path.with_suffix(".py").is_file() or (ROOT / name).is_dir()


def _first_lines(name: str) -> str:
    path = PACKAGE / name
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return " ".join(file.read_text(encoding="utf-8").lower().splitlines()[:_FIRST_LINES])
