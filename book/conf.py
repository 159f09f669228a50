"""Sphinx settings of the book; `make book` builds it, without a network."""

from book import execute, generated

project = "The NanoGPT Speedrun in Ten Milestones"
author = ""
html_title = project

extensions = ["myst_nb", "book.mathml"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_dmath_allow_digits = False  # "$5 to $8" is money
myst_update_mathjax = False
myst_substitutions = generated.substitutions()
html_math_renderer = "mathml"

nb_execution_mode = "cache"  # book/execute.py fills it
nb_execution_cache_path = str(generated.cache_folder())
nb_execution_timeout = execute.CELL_SECONDS
nb_execution_in_temp = True  # a chapter writes no file anywhere
nb_execution_raise_on_error = True
nb_output_stderr = "remove-warn"
nb_merge_streams = True
nb_code_prompt_show = "Show an answer"  # cells tagged `solution` are hidden
nb_code_prompt_hide = "Hide it again"

highlight_language = "bash"  # a fence without a name: commands
html_theme = "sphinx_book_theme"
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],
    "show_toc_level": 2,
    "use_fullscreen_button": False,
    "use_issues_button": False,
    "use_source_button": False,
}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_show_copyright = False
html_show_search_summary = False  # a browser fetches nothing from a page opened as a file

generated.write()
