"""Where a sentence ends."""

from __future__ import annotations

# Marks, and quotes and brackets behind them, before space and what is no lower-case letter: "e.g. in adults" goes on.
# Marks that do not end a sentence are not tried again one by one, since a text may be one long run of them.
SENTENCE_END = r"(?<![.!?])[.!?]++[\"')\]\u201d\u2019]*+(?=\s++[^a-z])"
