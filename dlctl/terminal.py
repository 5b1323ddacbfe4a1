"""Make text from elsewhere safe to print: nothing in it moves the cursor or reverses the writing."""

import re

# C0 and C1 controls, the separators that some terminals break lines at, the overrides and isolates of
# bidirectional text, and lone surrogates, which stand for bytes of file names and cannot be encoded.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_IN_BLOCKS = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def one_line(text: str) -> str:
    r"""The text on one line, with escapes such as ``\x1b`` and ``\n`` for control characters."""
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def block(text: str) -> str:
    """The same for text of several lines: ends of line and tabs stay."""
    return text if text.isprintable() else _UNSAFE_IN_BLOCKS.sub(_escape, text)


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        # A byte that is not UTF-8, as Python hands over file names.
        code -= 0xDC00
    return _SHORT.get(match[0]) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
