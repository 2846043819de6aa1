package mail

// sampleMails are invented messages of many shapes.
func sampleMails() []string {
	const top = "From: Maya Stone <maya@willowhouse.example>\nTo: anna@example.org\nSubject: Hello\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <a@willowhouse.example>\nMIME-Version: 1.0\n"
	list := []string{
		top + "\nHello Anna.\n",
		top + "\n",
		top,
		top + "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nCaf=E9 at noon=\n, then.\n\n> On Monday you wrote\n> something\n",
		top + "Content-Type: text/plain; charset=utf-8; format=flowed\nContent-Transfer-Encoding: 8bit\n\nCaf\u00e9 at \nnoon.\n\nOn Mon, 1 Nov 2026 at 10:00, Anna <anna@example.org> wrote:\n> Hello\n",
		top + "Content-Type: text/html; charset=windows-1252\nContent-Transfer-Encoding: base64\n\nPGh0bWw+PGJvZHk+PHA+SGVsbG8g6TwvcD48YmxvY2txdW90ZSB0eXBlPSJjaXRlIj5PbGQ8L2Js\nb2NrcXVvdGU+PC9ib2R5PjwvaHRtbD4=\n",
		top + "Content-Type: multipart/alternative; boundary=b1\n\n--b1\nContent-Type: text/plain; charset=utf-8\n\nHello.\n--b1\nContent-Type: text/html; charset=utf-8\n\n<html><head><title>x</title></head><body><p>Hello.</p><div class=\"gmail_quote\">On Mon Anna wrote:<blockquote>old</blockquote></div></body></html>\n--b1--\n",
		top + "Content-Type: multipart/mixed; boundary=\"b 1\"\n\nThis is a multi-part message in MIME format.\n--b 1\nContent-Type: multipart/alternative; boundary=b2\n\n--b2\nContent-Type: text/plain\n\nHello.\n--b2\nContent-Type: multipart/related; type=\"text/html\"; boundary=b3\n\n--b3\nContent-Type: text/html\n\n<p>Hello <img src=\"cid:logo@maya-pc.willowhouse.example\"></p>\n--b3\nContent-Type: image/png; name=logo.png\nContent-Transfer-Encoding: base64\nContent-ID: <logo@maya-pc.willowhouse.example>\n\niVBORw0KGgo=\n--b3--\n--b2--\n--b 1\nContent-Type: application/pdf\nContent-Disposition: attachment; filename*=utf-8''%E2%82%AC%20plan.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQ=\n--b 1--\n",
		top + "Content-Type: application/pdf; name=plan.pdf\nContent-Disposition: attachment; filename=plan.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQ=\n",
		top + "Content-Type: multipart/mixed; boundary=b1\n\n--b1\n\nSee below.\n--b1\nContent-Type: message/rfc822\n\nFrom: Ben <ben@example.org>\nSubject: Inner\nContent-Type: multipart/alternative; boundary=b9\n\n--b9\n\nInner text\n--b9\nContent-Type: text/html\n\n<p>Inner text</p>\n--b9--\n--b1--\n",
		top + "Content-Type: multipart/digest; boundary=b1\n\n--b1\n\nFrom: Ben <ben@example.org>\nSubject: One\n\nText one\n--b1\n\nFrom: Cara <cara@example.org>\nSubject: Two\n\nText two\n--b1--\n",
		top + "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512;\n boundary=\"sig\"\n\n--sig\nContent-Type: text/plain\n\nSigned text\n--sig\nContent-Type: application/pgp-signature; name=signature.asc\n\n-----BEGIN PGP SIGNATURE-----\n\nxxxx\n-----END PGP SIGNATURE-----\n--sig--\n",
		top + "Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B$3$s$K$A$O\x1b(B\n",
		top + "Content-Type: text/html\n\n<title>never closed <p>Hello\n",
		top + "Content-Type: multipart/alternative; boundary=b1\n\n--b1\n\nHello.\n--b1\nContent-Type: text/html\n\n<p>Hello<!-- open\n--b1--\n",
	}
	for i, s := range list {
		list[i] = crlf(s)
	}
	return list
}
