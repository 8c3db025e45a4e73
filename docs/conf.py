"""The site: every page where it lies in the repository, so that a relative link means the same there and here."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "tasks")]

from docs.generate import docstrings  # noqa: E402 - the place of the sources comes first
from smc_harness import __version__  # noqa: E402

project = "smc-harness"
copyright = "the authors of smc-harness"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "tasks/smc_tasks/*.md"]
exclude_patterns = [".*", "build", "dist", "**/__pycache__"]

# docstrings are prose in which single backticks are code
default_role = "code"
smartquotes = False  # an option begins with two hyphens
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False
# there is no network for the inventories of other libraries; what is said to be ours must be there
nitpick_ignore_regex = [(r"py:.*", r"(?!smc_harness\.).*")]

myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]

html_theme = "furo"
html_title = "smc-harness"
html_copy_source = html_show_sourcelink = False
html_extra_path = ["site/root"]
html_static_path = ["site/static"]
html_css_files = ["site.css"]

setup = docstrings.setup
