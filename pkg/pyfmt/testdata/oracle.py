"""Say what Python makes of each code point: repr and int."""

import json
import sys
import unicodedata


def number(text: str) -> int | None:
    """Give int(text), or None where it raises."""
    try:
        return int(text)
    except ValueError:
        return None


characters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in {"Cn", "Cs"}]
json.dump(
    {
        "characters": [[c, repr(c), number("1" + c), number(c + "1")] for c in characters],
    },
    sys.stdout,
)
