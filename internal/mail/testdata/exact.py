"""An outside judge of what an edit changed: Python's email package.

Reads one JSON object a line on standard input and answers each with one line:

  {"was": base64, "is": base64, "hold": bool, "edit": {...}}
  -> {"problems": ["..."], "edited": n, "same": n, "broken": bool}

"was" is a message and "is" the copy that was written with one edit, or several. The edit says what
may be different: "first" and "signature" are paragraphs, "replace" is [old, new], "names" is that
files have neutral names, "kisses" that those at the end are gone, "hide" is a string that may not stay in a Content-ID, "left_out" is the
number of alternatives that may be missing, "whole" is that the body may not change at all.

Every part must be there, in its order, with its type and its place, and have the same decoded
bytes; the text of the message may differ by what was inserted or replaced, and by nothing else.
"""

import base64
import email
import email.header
import email.message
import email.policy
import html
import json
import re
import sys

POLICY = email.policy.SMTP
NEUTRAL = re.compile(r"(document|image|archive|calendar|contact|sound|video|file)-[1-9][0-9]*\.[a-z0-9]{1,8}")


def flat(message, depth=0):
    """Every part with its depth. What comes behind a header that is no mail's stays as it is."""
    kind = message.get_content_type()
    yield depth, message
    if message.is_multipart() and (message.get_content_maintype() == "multipart" or kind in ("message/rfc822", "message/global")):
        for child in message.get_payload():
            yield from flat(child, depth + 1)


def encoding(part):
    return str(part.get("Content-Transfer-Encoding", "")).strip().lower()


def decoded(part):
    if part.is_multipart():
        return b""
    if "Content-Transfer-Encoding" in part and str(part["Content-Transfer-Encoding"]) != encoding(part):
        part.replace_header("Content-Transfer-Encoding", encoding(part))
    return part.get_payload(decode=True) or b""


def text(part):
    charset = part.get_content_charset() or "utf-8"
    if charset in ("iso-8859-1", "latin1", "us-ascii"):
        charset = "cp1252"  # as every mail app reads it (https://encoding.spec.whatwg.org)
    try:
        return decoded(part).decode(charset)
    except (LookupError, ValueError):
        return decoded(part).decode("latin-1" if charset != "utf-8" else "cp1252", "replace")


def place(part):
    cd = part.get_content_disposition()
    return {None: None, "": "inline", "inline": "inline"}.get(cd, "attachment")


def name(part):
    if part.get_content_maintype() == "multipart":
        return ""  # some put the subject there
    # The other policy drops backslashes, and all behind a blank that is not quoted.
    fields = email.message.Message(policy=email.policy.compat32)
    for k, v in part.raw_items():
        if k.lower() in ("content-type", "content-disposition") and k not in fields:
            fields[k] = v
    n = fields.get_filename() or ""
    try:  # encoded words have no place there, and every mail app reads them
        n = str(email.header.make_header(email.header.decode_header("".join(n.splitlines()))))
    except Exception:
        pass
    n = re.sub(r".*[/\\]", "", n, flags=re.S)
    return "".join(c for c in n if c.isprintable()).strip()


def cid(part):
    return str(part.get("Content-ID", "")).strip().strip("<>")


def param(part, key):
    v = part.get_param(key)
    return v if isinstance(v, str) else v and v[2]


def letters(message):
    """The text of the message in all its forms, as a mail app shows it."""
    def forms(part, alternative=False):
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            if part.get_content_type() in ("multipart/signed", "multipart/encrypted"):
                return None
            found = []
            for child in part.get_payload():
                got = forms(child, part.get_content_type() == "multipart/alternative" or alternative and child is part.get_payload()[0])
                if part.get_content_type() != "multipart/alternative":
                    if got is None or got:
                        return got
                elif got:
                    found += got
            return found
        shown = alternative or place(part) != "attachment" and not name(part)
        return [part] if not part.is_multipart() and part.get_content_type() in ("text/plain", "text/html") and shown else []
    return forms(message) or []


def without_paragraph(s, p, is_html, where):
    """s without the paragraph p and the blank line that came with it, in every way possible."""
    if is_html:
        for m in re.finditer(r"<p(?: [^<>]*)?>([^<]*)</p>\r\n", s):
            if html.unescape(m[1]) == p:
                yield s[: m.start()] + s[m.end():]
        return
    for pattern in (re.escape(p), " " + re.escape(p)):  # stuffed, in format=flowed
        for m in re.finditer(pattern, s):
            before, after = s[: m.start()], s[m.end():]
            if where == "first":
                if before in ("", "\ufeff") and after.startswith(("\r\n\r\n", "\n\n")):
                    yield before + re.sub(r"^(\r\n\r\n|\n\n)", "", after)
                continue
            for nl in ("\r\n", "\n"):
                for k in range(3):
                    for j in range(1, 3):
                        if before.endswith(nl * k) and after.startswith(nl * j):
                            yield before[: len(before) - len(nl) * k] + after[len(nl) * j:]


def undone(states, edit, is_html):
    """All texts that the copy could have been made from."""
    for where in ("first", "signature"):
        for p in edit.get(where, []):
            more = set(states)
            for s in states:
                more.update(without_paragraph(s, p, is_html, where))
            states = more
    return states


def replaced(was, now, old, new):
    """Whether now is was with some of old, in any case, as new: nothing else may differ."""
    pieces = now.split(new)
    at = 0
    for i, piece in enumerate(pieces):
        if not was.startswith(piece, at):
            return False
        at += len(piece)
        if i + 1 < len(pieces):
            if was[at: at + len(old)].lower() != old.lower() and was[at: at + len(new)] != new:
                return False
            at += len(old) if was[at: at + len(old)].lower() == old.lower() else len(new)
    return at == len(was)


def token(old):
    return re.compile(r"(?<![\w._%+\-@])" + re.escape(old) + r"(?![\w@]|[.\-]\w)", re.I)


KISSES = set("xXoO \t\r\n\u00a0.!~*,?;:)-\U0001f48b\U0001f618\U0001f617\U0001f619\U0001f61a\ufe0f")


def without_kisses(a, b, entities):
    """Whether b is a without some letters and pictures that are kisses, or references to them."""
    i = j = gone = 0
    while i < len(a):
        ref = re.match(r"&(?:nbsp|#(?:160|8206|1[0-9]{5}));", a[i: i + 12]) if entities else None
        if j < len(b) and a[i] == b[j]:
            i, j = i + 1, j + 1
        elif a[i] in KISSES or ref:
            step = ref.end() if ref else 1
            i, gone = i + step, gone + 1
        else:
            return False
    return j == len(b) and 0 < gone <= 80


def only(a, b, edit, is_html):
    """Whether b is a with what the edit inserts, replaces and takes out."""
    states = undone({b}, edit, is_html)
    if edit.get("kisses") and not edit.get("replace"):
        return any(s == a or without_kisses(a, s, is_html) for s in states)
    if edit.get("replace"):
        return any(replaced(a, s, *edit["replace"]) for s in states)
    return a in states


def octets(part, edit=None):
    """The decoded bytes, one character each, but for the paragraphs that we inserted."""
    s = decoded(part).decode("latin-1")
    for p in (edit or {}).get("first", []) + (edit or {}).get("signature", []):
        try:
            s = s.replace(p.encode(part.get_content_charset() or "utf-8").decode("latin-1"), p)
        except (LookupError, ValueError):
            pass
    return s


def edited(was, now, edit, problems, where):
    """Judges a text of the message. True: it is as it was."""
    if decoded(was) == decoded(now):
        unchanged = True
    else:
        unchanged = False
    is_html = was.get_content_type() == "text/html"
    a, b = text(was), text(now)
    # Under a label that is wrong, what the bytes are is what counts.
    if not any(only(x, y, edit, is_html) for x, y in ((a, b), (octets(was), octets(now, edit)))):
        problems.append(where + ": changed by more than what was inserted or replaced")
    if edit.get("replace") and not is_html and token(edit["replace"][0]).search(b.replace(edit["replace"][1], " ")):
        problems.append(where + ": not every place was replaced")
    for p in edit.get("first", []) + edit.get("signature", []):
        seen = html.unescape(re.sub(r"<[^>]*>", "", b)) if is_html else b
        if "".join(p.split()) not in "".join(seen.split()):
            problems.append(where + ": a paragraph is missing")
    return unchanged


def ours(part, edit, problems):
    """A text part of its own holds the paragraphs and nothing else."""
    if "".join(text(part).split()) != "".join("".join(edit.get("first", []) + edit.get("signature", [])).split()):
        problems.append("the text part of ours says something else")


def judge(q):
    was_raw, now_raw, edit = base64.b64decode(q["was"]), base64.b64decode(q["is"]), q["edit"]
    problems = []
    answer = {"problems": problems, "edited": 0, "same": 0, "broken": False}
    if edit.get("whole"):
        a, b = was_raw.partition(b"\r\n\r\n")[2], now_raw.partition(b"\r\n\r\n")[2]
        if b not in (a, a + b"\r\n"):
            problems.append("the body is not byte for byte as it was")
        answer["same"] += 1
        return answer
    was, now = (email.message_from_bytes(b, policy=POLICY) for b in (was_raw, now_raw))
    for _, p in flat(was):
        decoded(p)
    if q["hold"] and any(p.defects or p.get_content_maintype() == "multipart" and not p.is_multipart() for _, p in flat(was)):
        answer["broken"] = True
        return answer
    a, b = list(flat(was)), list(flat(now))
    letter = {id(p) for p in letters(was)}
    inserted = bool(edit.get("first") or edit.get("signature"))
    if inserted and len(b) == len(a) + 2 and b[1][1].get_content_type() == "text/plain":
        ours(b[1][1], edit, problems)
        b, letter = [(d - 1, p) for d, p in b[2:]], set()  # in a container with what was there
    elif inserted and len(b) == len(a) + 1 and b[1][1].get_content_type() == "text/plain":
        ours(b[1][1], edit, problems)
        b, letter = b[:1] + b[2:], set()
    missing = edit.get("left_out", 0)
    i = 0
    for depth, p in a:
        n, kind = (b[i][1] if i < len(b) else None), p.get_content_type()
        # A type that is none is text to some and a file to others: we say it is a file.
        none = not re.match(r"\s*[\w.+-]+/[\w.+-]+", str(p.get("Content-Type", "text/plain")))
        if n is None or n.get_content_type() != kind and not none or b[i][0] != depth:
            if missing > 0:
                missing -= 0 if kind != "text/html" else 1
                continue
            problems.append(f"part {i + 1} ({kind}) is missing or another")
            return answer
        i += 1
        where = f"part {i} ({kind})"
        same_name = name(p) == name(n) or "\ufffd" in name(p) or len(name(p).encode()) > 190 or name(n) == "file-" + name(p)
        if edit.get("names") and name(p) and depth >= 0:
            same_name = NEUTRAL.fullmatch(name(n)) or inside_message(was, p)
        if not same_name:
            problems.append(where + ": the file name is another")
        if place(p) != place(n) and depth > 0:
            problems.append(where + ": the disposition is another")
        if cid(p) != cid(n) and cid(p).isascii() and cid(p) and not (edit.get("hide") and edit["hide"] in cid(p).lower() and edit["hide"] not in cid(n).lower()):
            problems.append(where + ": the Content-ID is another")
        for key in ("format", "delsp", "method", "protocol", "micalg"):
            if (param(p, key) or "").lower() != (param(n, key) or "").lower():
                problems.append(where + ": the parameter " + key + " is another")
        if p.is_multipart():
            continue
        is_text = kind in ("text/plain", "text/html") and place(p) != "attachment" and not name(p)
        if id(p) in letter and inserted:
            if edited(p, n, edit, problems, where):
                answer["same"] += 1
            else:
                answer["edited"] += 1
        elif is_text and (edit.get("replace") or edit.get("hide") or edit.get("kisses")) and decoded(p) != decoded(n):
            answer["edited"] += 1
            rest = {k: v for k, v in edit.items() if k in ("replace", "kisses")}
            if rest:
                edited(p, n, rest, problems, where)
            elif re.sub(r"cid:[^\"'> \t\r\n]+", "", text(p)) != re.sub(r"cid:[^\"'> \t\r\n]+", "", text(n)):
                problems.append(where + ": changed by more than its references")
        elif decoded(p) != decoded(n) and not same_lines(p, n):
            problems.append(where + ": the decoded bytes are others")
        else:
            answer["same"] += 1
    if i != len(b):
        problems.append(f"{len(b) - i} parts that were not there")
    return answer


def same_lines(p, n):
    """A bare LF that nothing protects is a line end, and becomes one of the wire."""
    return encoding(p) not in ("base64", "quoted-printable") and decoded(p).replace(b"\r\n", b"\n") == decoded(n).replace(b"\r\n", b"\n")


def inside_message(root, part):
    def find(m, inside):
        if m is part:
            return inside
        if m.is_multipart():
            for c in m.get_payload():
                got = find(c, inside or m.get_content_maintype() == "message")
                if got is not None:
                    return got
        return None
    return bool(find(root, False))


def main():
    sys.setrecursionlimit(10000)
    for line in sys.stdin:
        try:
            answer = judge(json.loads(line))
        except Exception as e:  # a reader that gives up is a finding too
            answer = {"problems": [f"Python gives up: {type(e).__name__}: {e}"], "edited": 0, "same": 0, "broken": False}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
