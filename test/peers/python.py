"""Python's email package as a reader of mail, for the comparison of readings.

It reads messages from stdin, each behind its length (four bytes, the most significant first), and prints
one line of JSON for each: its parts in order, containers included. See test/differ.
"""

import codecs
import email
import email.policy
import hashlib
import json
import os
import re
import struct
import sys
import unicodedata

# SHOW=1 prints the content itself, for whoever looks into a difference.
SHOW = os.environ.get("SHOW") == "1"

# Names that Python has under another one only.
ALIASES = {"windows-874": "cp874", "dos-874": "cp874", "iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8", "x-mac-cyrillic": "mac-cyrillic", "x-mac-roman": "mac-roman", "x-sjis": "cp932", "x-gbk": "gbk",
           "windows-31j": "cp932", "x-euc-jp": "euc_jp", "cn-big5": "big5"}

# What mail apps (WHATWG Encoding Standard) read under these labels, where Python's codec of that name
# knows fewer characters. The same table stands behind every browser.
WIDER = {
    "iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932", "big5": "big5hkscs",
}


def decode(raw, label):
    """The text, or None where Python knows no such charset."""
    try:
        codec = codecs.lookup(ALIASES.get(label, label or "us-ascii"))
        if not codec._is_text_encoding:  # "hex": one of Python's own, and no charset
            return None
        name = codec.name
    except (LookupError, ValueError):
        return None
    if name == "ascii":
        # No label, or us-ascii: Python would drop the bytes; what follows is what it offers for them.
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("cp1252", "replace")
    for codec in (name, WIDER.get(name)):
        if codec is None:
            break
        try:
            return raw.decode(codec)
        except (UnicodeDecodeError, ValueError):
            pass
    return raw.decode(WIDER.get(name, name), "replace")


def content(raw, as_text):
    """The digest that all readers are compared by; see normal in test/differ."""
    if as_text is not None:
        s = as_text.removeprefix("\ufeff")
        s = unicodedata.normalize("NFC", s)
        s = re.sub("\r+\n", "\n", s).rstrip("\n")
        raw = re.sub("[\x80-\x9f\ue000-\uf8ff\ufffd]+", "\ufffd", s).encode("utf-8", "replace")
    return raw.decode("utf-8", "replace") if SHOW else hashlib.sha256(raw).hexdigest()[:24]


def walk(part, depth, out):
    kind = part.get_content_type()
    main = part.get_content_maintype()
    node = {"depth": depth, "type": kind, "name": "", "sum": ""}
    if main != "multipart":
        node["name"] = part.get_filename() or ""
    out.append(node)
    if kind in ("message/rfc822", "message/global") and part.is_multipart():
        for child in part.get_payload():
            walk(child, depth + 1, out)
        return
    if main == "message":
        # Python makes a message of every message/*, and a list of them of message/delivery-status: the
        # content as such cannot be had from it.
        node["sum"] = "message"
        return
    if part.is_multipart():
        for child in part.get_payload():
            walk(child, depth + 1, out)
        return
    raw = part.get_payload(decode=True) or b""
    encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if main == "text":
        text = decode(raw, part.get_param("charset") and part.get_content_charset())
        node["sum"] = "charset" if text is None else content(raw, text)
        if kind == "text/plain" and str(part.get_param("format", "")).lower() == "flowed":
            node["flowed"] = "delsp" if str(part.get_param("delsp", "")).lower() == "yes" else "flowed"
    elif encoding == "base64":
        node["sum"] = content(raw, None)
    else:
        node["sum"] = content(re.sub(b"\r+\n", b"\n", raw).rstrip(b"\n"), None)


def read(raw):
    try:
        out = []
        walk(email.message_from_bytes(raw, policy=email.policy.default), 0, out)
        return {"parts": out}
    except Exception as e:  # a reader that fails reads nothing: that is a difference, too
        return {"parts": [], "failed": f"{type(e).__name__}: {e}"[:200]}


def main():
    source, sink = sys.stdin.buffer, sys.stdout
    while True:
        head = source.read(4)
        if len(head) < 4:
            return
        raw = source.read(struct.unpack(">I", head)[0])
        sink.write(json.dumps(read(raw)) + "\n")
        sink.flush()


main()
