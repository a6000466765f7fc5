"""What the model and the tool of the measured runs say, the same in every run."""

from __future__ import annotations

import json

PROMPT_TOKENS, COMPLETION_TOKENS = 100, 10
ANSWER = "the mean of column three is written into the report as it was asked for " * 9
REASONING = "because the second column holds identifiers " * 5
ARGUMENTS = '{"column": 3, "limit": 100, "query": "SELECT name, amount FROM orders WHERE amount > 20"}'
RESULT = json.dumps(
    [{"id": number, "title": "galaxy survey spectrum", "amount": 17.5} for number in range(8)]
)
