"""What mkdocs does besides: pages that stand outside of docs/, and names of pages as links."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
#: Pages of the site that are files of the repository's root.
OUTSIDE = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
FENCE = re.compile(r"^ *```")


def in_the_site(text):
    """Links of a file in the root, from docs/: its pages there, and what is no page as a name."""
    for page, source in OUTSIDE.items():
        text = text.replace(f"]({source})", f"]({page})")
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(r"\[([^\]]*)\]\(((?:oracle|data|src)/[^)]*)\)", r"`\2`", text)


def on_files(files, config):
    for page, source in OUTSIDE.items():
        files.append(File.generated(config, page, content=in_the_site((ROOT / source).read_text())))
    return files


def on_page_markdown(markdown, page, config, files):
    """`docs/plan.md` is a link, outside of blocks of code."""
    inside = False
    lines = []
    for line in markdown.split("\n"):
        inside ^= bool(FENCE.match(line))
        lines.append(line if inside else re.sub(r"`docs/([a-z0-9-]+\.(?:md|ipynb))`", r"[\1](\1)", line))
    return "\n".join(lines)
