"""How Sphinx makes a site of the pages: C{make docs}.

Its sources are the Markdown files of the whole repository, where they are, so that a link from one to another is the
same on the site as in the repository. Nothing is fetched.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from twisted_bazaar import __version__

ROOT = Path(__file__).parent.parent

project = "twisted_bazaar"
author = "the twisted_bazaar contributors"
project_copyright = f"2026 {author}"
release = version = __version__

extensions = ["myst_parser", "pydoctor.sphinx_ext.build_apidocs"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "benchmarks", "build", "dist", "tests", "twisted", "twisted_bazaar"]
# Links to headings, as GitHub makes them.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"twisted_bazaar {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
templates_path = ["_templates"]
# These first pages are not where browsers look for them.
html_additional_pages = {"index": "to-first-page.html", "docs/specification/index": "to-specification.html"}
html_copy_source = False
html_show_sphinx = False

pydoctor_args = [
    "--project-name=twisted_bazaar",
    f"--project-version={release}",
    "--project-url=../index.html",
    f"--project-base-dir={ROOT}",
    "--docformat=epytext",
    "--theme=readthedocs",
    "--privacy=HIDDEN:**._*",
    "--warnings-as-errors",
    "--html-output={outdir}/docs/api",
    str(ROOT / "twisted_bazaar"),
]


def setup(app: Sphinx) -> None:
    """What can only be done once all extensions are there."""
    # What passes between two nodes, in the specification.
    for language in ("datagrams", "hex", "segments", "wire"):
        app.add_lexer(language, TextLexer)
    app.connect("html-page-context", _break_paths)
    _make_bases_known()
    _keep_texts_of_annotated()


def _break_paths(app: Sphinx, name: str, template: str, context: dict[str, Any], page: object) -> None:
    """Let the path of a module be broken after each slash: columns of tables are narrow."""
    if "body" in context:
        words = re.compile('(?<=<span class="pre">)[^<]+')
        context["body"] = words.sub(lambda found: found[0].replace("/", "/<wbr>"), context["body"])


def _make_bases_known() -> None:
    """Have pydoctor know interfaces: it does not follow a name that is imported from where it is imported itself."""
    from pydoctor.extensions import zopeinterface

    names_interface = zopeinterface.namesInterface
    zopeinterface.namesInterface = lambda system, name: (
        name.startswith("twisted_bazaar.interface_bases.") or names_interface(system, name)
    )


def _keep_texts_of_annotated() -> None:
    """Have pydoctor leave alone what C{Annotated} says besides the type: it takes each text there for a type."""
    from pydoctor.astutils import _AnnotationStringParser as Parser

    visit = Parser.visit_Subscript

    def visit_subscript(parser: Parser, node: ast.Subscript) -> ast.Subscript:
        match node:
            case ast.Subscript(ast.Name("Annotated"), ast.Tuple([kind, *about])):
                elements = ast.Tuple([parser.visit(kind), *about], ast.Load())
                return ast.copy_location(ast.Subscript(node.value, elements, node.ctx), node)
        return visit(parser, node)

    Parser.visit_Subscript = visit_subscript
