"""An outside reader of what the gateway would send: Python's email package.

Reads a manifest (JSON) on standard input and writes its verdicts (JSON) on standard output:

  {"clients": [{"address", "name", "crisis"}], "not_in_header": ["..."], "alias": "...",
   "cases": [{"input": path, "defect": bool, "outputs": [{"path", "recipient"}]}]}
  -> [{"whole": bool, "broken": bool, "problems": ["..."]}]     one for each case, in order

"defect" says that the gateway held the message because it can be read in two ways. Where
this reader too finds its structure broken ("broken"), the parts of input and output are not
compared: there is no one list of parts to compare with. In a message that the gateway would
send they always are.

Verdicts name what is wrong and where, never the text of a message.
"""

import email
import email.header
import email.policy
import email.utils
import hashlib
import html.parser
import json
import re
import sys
from collections import Counter

POLICY = email.policy.SMTP


class Visible(html.parser.HTMLParser):
    """The text that a reader of HTML sees."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.hidden = [], 0

    def handle_starttag(self, tag, attrs):
        if tag in ("style", "script", "title"):
            self.hidden += 1
        self.text.append(" ")

    def handle_endtag(self, tag):
        if tag in ("style", "script", "title") and self.hidden:
            self.hidden -= 1
        self.text.append(" ")

    def handle_data(self, data):
        if not self.hidden:
            self.text.append(data)


def squeeze(text):
    return " ".join(text.split())


def seen(part):
    """The text of a text part as it is read, white space squeezed."""
    text = decoded_text(part)
    if part.get_content_type() == "text/html":
        reader = Visible()
        reader.feed(text)
        reader.close()
        text = "".join(reader.text)
    return squeeze(text)


def decoded(part):
    """The decoded bytes of a leaf. Line ends count only where base64 protects them."""
    payload = unwrapped(part)
    if encoding(part) != "base64":
        payload = payload.replace(b"\r\n", b"\n")
    return payload


def encoding(part):
    return str(part.get("Content-Transfer-Encoding", "")).strip().lower()


def unwrapped(part):
    # The package does not know an encoding with a space behind its name.
    if "Content-Transfer-Encoding" in part and str(part["Content-Transfer-Encoding"]) != encoding(part):
        part.replace_header("Content-Transfer-Encoding", encoding(part))
    return part.get_payload(decode=True) or b""


def decoded_text(part):
    payload = unwrapped(part)
    charset = part.get_content_charset() or "utf-8"
    try:
        return payload.decode(charset, "replace")
    except (LookupError, ValueError):
        return payload.decode("latin-1")


def leaves(message):
    for part in message.walk():
        if not part.is_multipart():
            yield part


def is_attachment(part):
    return part.get_content_disposition() == "attachment"


def forms(part):
    """The letter: the first text that a reader is shown, in every form that it has.

    Of the alternatives a mail app shows one, and only it knows which.
    """
    if part.is_multipart() and part.get_content_maintype() == "multipart":
        found = []
        for child in part.get_payload():
            got = forms(child)
            if got and part.get_content_type() != "multipart/alternative":
                return got
            found += got
        return found
    if part.is_multipart() or is_attachment(part) or part.get_content_type() not in ("text/plain", "text/html"):
        return []
    return [part]


def digest(part):
    return hashlib.sha256(decoded(part)).hexdigest()


def embedded(message):
    """Digests of the header of every embedded message or report block.

    The fields that describe the content may be written anew with it.
    """
    for part in message.walk():
        if part.get_content_maintype() == "message" and part.is_multipart():
            for inner in part.get_payload():
                fields = [(k.lower(), squeeze(str(v))) for k, v in inner.raw_items() if k.lower() != "mime-version" and not k.lower().startswith("content-")]
                yield hashlib.sha256(repr(fields).encode("utf-8", "surrogateescape")).hexdigest()


def containers(message):
    """The parts that are not inside an embedded message, containers included."""
    yield message
    if message.is_multipart() and message.get_content_maintype() == "multipart":
        for part in message.get_payload():
            yield from containers(part)


def must_stay_whole(message):
    """Whether an edit of the text would break a signature or an encryption."""
    for part in containers(message):
        kind = part.get_content_type()
        if kind in ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"):
            return True
        if not part.is_multipart() and re.search(rb"-----BEGIN PGP (SIGNED )?MESSAGE", decoded(part)):
            return True
    return False


def wire(raw):
    if re.search(rb"(?<!\r)\n|\r(?!\n)", raw):
        yield "a line end that is not CRLF"
    if b"\0" in raw:
        yield "a NUL"
    if any(len(line) > 998 for line in raw.split(b"\r\n")):
        yield "a line over 998"
    if not raw.endswith(b"\r\n"):
        yield "does not end with CRLF"
    header = raw.split(b"\r\n\r\n", 1)[0]
    if not header.isascii():
        yield "a header that is not ASCII"


def haystacks(message, raw):
    """Everything in which somebody could be named."""
    yield "the raw message", raw.decode("latin-1")
    for part in message.walk():
        for name, value in part.raw_items():
            value = str(value)
            yield "field " + name, value
            try:
                yield "field " + name, str(email.header.make_header(email.header.decode_header(value)))
            except Exception:
                pass
        try:
            yield "a file name", part.get_filename() or ""
        except Exception:
            pass
    for part in leaves(message):
        yield "part " + part.get_content_type(), decoded_text(part)
        yield "part " + part.get_content_type(), decoded(part).decode("latin-1")


def check(manifest, source, output):
    raw = open(output["path"], "rb").read()
    yield from wire(raw)
    message = email.message_from_bytes(raw, policy=POLICY)
    client = next(c for c in manifest["clients"] if c["address"] == output["recipient"])

    for name, count in (("To", 1), ("Cc", 0), ("Bcc", 0), ("From", 1), ("Subject", 1), ("Date", 1), ("Message-ID", 1)):
        if len(message.get_all(name, [])) != count:
            yield f"{len(message.get_all(name, []))} {name} fields"
    to = [a for _, a in email.utils.getaddresses([str(v) for v in message.get_all("To", [])])]
    if to != [client["address"]]:
        yield f"To has {len(to)} addresses, or the wrong one"
    sender = [a for _, a in email.utils.getaddresses([str(v) for v in message.get_all("From", [])])]
    if sender != [manifest["alias"]]:
        yield "From is not the address that clients see"
    for name in message.keys():
        if name.lower().startswith("resent-") or name.lower() in ("sender", "return-path"):
            yield "field " + name
    header = raw.split(b"\r\n\r\n", 1)[0].decode("latin-1").casefold()
    for secret in manifest["not_in_header"]:
        if secret.casefold() in header:
            yield "the header shows the practitioner"

    others = []
    for other in manifest["clients"]:
        if other is not client:
            others += [other["address"], other["name"]] + other["name"].split()
    for where, text in haystacks(message, raw):
        text = text.casefold()
        for other in others:
            if other.casefold() in text:
                yield "names another recipient in " + where

    if source["whole"]:
        if source["leaves"] != Counter(digest(p) for p in leaves(message)):
            yield "signed or encrypted, but not whole"
        # The gateway ends the last line where the mail app did not.
        if raw.partition(b"\r\n\r\n")[2] not in (source["body"], source["body"] + b"\r\n"):
            yield "signed or encrypted, and the body is not byte for byte as it was"
        return

    crisis = squeeze(client["crisis"])
    letter = forms(message)
    if not letter:
        yield "no text to read"
    for part in leaves(message):
        if part.get_content_maintype() != "text":
            continue
        n, want = seen(part).count(crisis), 1 if any(part is form for form in letter) else 0
        if n != want:
            yield f"crisis line {n} times in {part.get_content_type()}" + ("" if want else " beside the letter")
    for other in manifest["clients"]:
        line = squeeze(other["crisis"])
        if line not in crisis and crisis not in line and any(line in seen(p) for p in leaves(message) if p.get_content_maintype() == "text"):
            yield "another client's crisis line"

    if source["broken"]:
        return
    now = Counter(digest(p) for p in leaves(message))
    editable = Counter(digest(p) for p in letter)
    lost = source["leaves"] - now - source["editable"]
    if lost:
        yield f"{lost.total()} of {source['leaves'].total()} parts are not as they were"
    added = now - source["leaves"] - editable
    if added:
        yield f"{added.total()} parts that were not there"
    if source["embedded"] != Counter(embedded(message)):
        yield "the header of an embedded message is not as it was"


def broken(message):
    for part in leaves(message):
        unwrapped(part)  # only then does the package know whether the encoding is sound
    return any(part.defects or part.is_multipart() is False and part.get_content_maintype() == "multipart" for part in message.walk())


def read(case):
    """The facts about a message as submitted; a bare LF is a line end there."""
    raw = re.sub(rb"(?<!\r)\n", b"\r\n", open(case["input"], "rb").read())
    message = email.message_from_bytes(raw, policy=POLICY)
    return {
        "broken": case["defect"] and broken(message),
        "whole": must_stay_whole(message),
        "body": raw.partition(b"\r\n\r\n")[2],
        "leaves": Counter(digest(p) for p in leaves(message)),
        "editable": Counter(digest(p) for p in forms(message)),
        "embedded": Counter(embedded(message)),
    }


def main():
    manifest = json.load(sys.stdin)
    verdicts = []
    for case in manifest["cases"]:
        source = read(case)
        problems = []
        for output in case["outputs"]:
            try:
                found = sorted(set(check(manifest, source, output)))
            except Exception as e:  # a reader that gives up is a finding too
                found = [f"Python's email gives up: {type(e).__name__}"]
            problems += [f"to {output['recipient']}: {p}" for p in found]
        verdicts.append({"whole": source["whole"], "broken": source["broken"], "problems": problems})
    json.dump(verdicts, sys.stdout)


if __name__ == "__main__":
    sys.setrecursionlimit(10000)
    main()
