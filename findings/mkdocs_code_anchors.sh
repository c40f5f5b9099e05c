#!/usr/bin/env bash
# MkDocs 1.6.1, pymdown-extensions 13.1.2
#
# Behaviour: with `validation: {anchors: warn}` a link to a line of a code block is reported as broken, and `--strict` fails,
# although the anchor is on the page and browsers follow it. MkDocs looks for anchors in the tree of the Markdown parser;
# highlighted code is put into the page later.
# Expected: no warning for an anchor that the built page has.
# Reported upstream, for other anchors of this kind: mkdocs/mkdocs issue 3690.
#
# Output seen:
#   WARNING -  Doc file 'index.md' contains a link 'code.md#line-0-2', but the doc 'code.md' does not contain an anchor '#line-0-2'.
#   and in the built page of code.md: id="line-0-2"
#
# The hook of our documentation site (docs/.site.py) adds these anchors to the page's list after it is rendered.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mkdocs==1.6.1 pymdown-extensions==13.1.2 Pygments==2.21.0

mkdir "$folder/docs"
cat > "$folder/mkdocs.yml" <<'YAML'
site_name: Code
plugins: []
validation: {anchors: warn}
markdown_extensions:
  - pymdownx.highlight: {anchor_linenums: true, line_anchors: line}
  - pymdownx.superfences
YAML
printf '# Index\n\n[the second line](code.md#line-0-2)\n' > "$folder/docs/index.md"
printf '# Code\n\n``` {.python linenums=1}\na = 1\nb = 2\n```\n' > "$folder/docs/code.md"

cd "$folder"
if venv/bin/python -m mkdocs build --strict > log 2>&1; then
    echo "changed: the strict build accepts the link" >&2
    exit 1
fi
grep "does not contain an anchor '#line-0-2'" log
grep --only-matching --max-count=1 'id="line-0-2"' site/code/index.html
