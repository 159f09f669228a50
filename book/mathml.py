"""Formulas as MathML, made when the book is built: a browser draws it and fetches nothing."""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

FUNCTION = re.compile(r"(<mo>&ApplyFunction;</mo>)(?!\s*<mo)")  # not before a parenthesis


def mathml(tex: str, block: bool) -> str:
    """LaTeX mathematics as a <math> element, with the thin space that "ln V" needs."""
    return FUNCTION.sub(r'\1<mspace width="0.17em"></mspace>', tex2mathml(tex, as_block=block))


def visit(self, node: nodes.math | nodes.math_block) -> None:
    block = isinstance(node, nodes.math_block)
    try:
        made = mathml(node.astext(), block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s", error, location=node)
        made = self.encode(node.astext())
    self.body.append(f'<div class="math">{made}</div>' if block else made)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit, None), (visit, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
