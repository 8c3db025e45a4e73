"""Names that plugins may have and that no report may take for anything but text."""

from __future__ import annotations

NAMES = [
    "<script>alert(1)</script>",
    "a 'task' with \"quotes\"\nand a newline",
    "control\x00\x1b[31m\x7f characters\r\n\t",
    "emoji \U0001f600 and \u202eright to left",
    "::error title=x::y",
    "##[error]z",
    "`code` | *bold* [link](https://example.org) @someone #1 :bug: $x$ ~a~",
    r"\input{/etc/passwd} 100% & {a}_b^c~d#e$f$",
    "]]> --> &amp; &#10;",
    "=1+1,\u2028;x",
    " ",
    "\ufffe",
]
