package encrypt

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/plaincover/plaincover/internal/mail"
)

// Packet types (RFC 9580 §5).
const (
	tagSessionKey    = 1
	tagSignature     = 2
	tagPassword      = 3
	tagSecretKey     = 5
	tagPublicKey     = 6
	tagSecretSubkey  = 7
	tagOldData       = 9
	tagMarker        = 10
	tagTrust         = 12
	tagUserID        = 13
	tagPublicSubkey  = 14
	tagUserAttribute = 17
	tagData          = 18
	tagAEADData      = 20
	tagPadding       = 21
)

// maxSessionKeys bounds what is listed: more packets than that is nobody's mail to one client.
const maxSessionKeys = 64

// NotEncrypted is what is not exactly one encrypted OpenPGP message.
const NotEncrypted Reason = "not exactly one encrypted OpenPGP message"

// SessionKeyPacket says for whom one copy of the session key is (RFC 9580 §5.1).
type SessionKeyPacket struct {
	Version     int
	KeyID       uint64 // of the part that decrypts; 0: hidden
	Fingerprint []byte // version 6 only
	Algorithm   uint8
}

// PacketList is what can be seen of an encrypted message without any key.
type PacketList struct {
	SessionKeys []SessionKeyPacket
	Passwords   int  // packets that a password opens: anybody who knows it is a recipient
	Integrity   bool // changes are noticed: MDC or AEAD
	AEAD        bool // version 2
}

// ListPackets reads one encrypted OpenPGP message, binary or armored, to its end. Whatever else
// stands before, between or behind its packets makes it NotEncrypted, because another reader
// could show it.
func ListPackets(r io.Reader) (PacketList, error) {
	br := bufio.NewReader(r)
	first, err := br.Peek(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return PacketList{}, fmt.Errorf("encrypt: list packets: %w", err)
	}
	var src io.Reader = br
	if !isBinary(first) {
		src = newArmorReader(br, "MESSAGE")
	}
	return listPackets(newPacketScanner(src))
}

func listPackets(s *packetScanner) (PacketList, error) {
	var l PacketList
	for data := false; ; {
		tag, err := s.next()
		switch {
		case errors.Is(err, io.EOF) && data:
			return l, nil
		case isFormat(err):
			return PacketList{}, NotEncrypted
		case err != nil:
			return PacketList{}, fmt.Errorf("encrypt: list packets: %w", err)
		case data && tag != tagPadding && tag != tagMarker:
			return PacketList{}, NotEncrypted
		}
		switch tag {
		case tagSessionKey:
			p, err := s.sessionKey()
			switch {
			case err != nil && !isFormat(err):
				return PacketList{}, fmt.Errorf("encrypt: list packets: %w", err)
			case err != nil, len(l.SessionKeys) == maxSessionKeys:
				return PacketList{}, NotEncrypted
			}
			l.SessionKeys = append(l.SessionKeys, p)
		case tagPassword:
			l.Passwords++
		case tagData:
			version, err := s.ReadByte()
			switch {
			case err != nil && !isFormat(err):
				return PacketList{}, fmt.Errorf("encrypt: list packets: %w", err)
			case err != nil, version != 1 && version != 2:
				return PacketList{}, NotEncrypted
			}
			l.Integrity, l.AEAD, data = true, version == 2, true
		case tagAEADData:
			l.Integrity, l.AEAD, data = true, true, true
		case tagOldData:
			data = true
		case tagMarker, tagPadding:
		default:
			return PacketList{}, NotEncrypted
		}
	}
}

// isFormat tells what the bytes say from trouble in reading them.
func isFormat(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errPacket) || errors.Is(err, errArmor)
}

// OnlyFor decides whether a message that the mail app encrypted may pass whole: it is protected
// against changes, at least one session key is for this recipient, and every other one is for
// the recipient or the submitter's own key. A hidden recipient, another key or a password means
// that somebody else may read it (B43). own may be nil.
func (l PacketList) OnlyFor(recipient, own *Key) error {
	switch {
	case !l.Integrity:
		return errors.New("encrypt: the encrypted message has no protection against changes")
	case l.Passwords > 0:
		return errors.New("encrypt: the encrypted message opens with a password too")
	}
	theirs, err := recipient.parts()
	if err != nil {
		return err
	}
	var ours []SessionKeyPacket
	if own != nil {
		if ours, err = own.parts(); err != nil {
			return err
		}
	}
	forRecipient := false
	for _, p := range l.SessionKeys {
		switch {
		case p.KeyID == 0:
			return errors.New("encrypt: the encrypted message has a hidden recipient")
		case p.among(theirs):
			forRecipient = true
		case !p.among(ours):
			return fmt.Errorf("encrypt: the encrypted message is for key %016X too", p.KeyID)
		}
	}
	if !forRecipient {
		return errors.New("encrypt: the encrypted message is not for the recipient's key")
	}
	return nil
}

func (p SessionKeyPacket) among(parts []SessionKeyPacket) bool {
	for _, k := range parts {
		if k.KeyID == p.KeyID && (p.Fingerprint == nil || bytes.Equal(k.Fingerprint, p.Fingerprint)) {
			return true
		}
	}
	return false
}

// parts are the key's parts as session-key packets name them.
func (k *Key) parts() ([]SessionKeyPacket, error) {
	e, err := k.entity()
	if err != nil {
		return nil, err
	}
	parts := []SessionKeyPacket{{KeyID: e.PrimaryKey.KeyId, Fingerprint: e.PrimaryKey.Fingerprint}}
	for _, s := range e.Subkeys {
		parts = append(parts, SessionKeyPacket{KeyID: s.PublicKey.KeyId, Fingerprint: s.PublicKey.Fingerprint})
	}
	return parts, nil
}

// ListMessage lists the packets of a mail that is nothing but one encrypted message: PGP/MIME
// with exactly its two parts (RFC 3156 §4), or a text that is one armored block and nothing
// else. Everything else is NotEncrypted, whatever its subject says.
func ListMessage(m *mail.Message) (PacketList, error) {
	root := m.Root
	if root.MediaType == "text/plain" && len(root.Parts) == 0 {
		return ListPackets(m.Decode(root))
	}
	if root.MediaType != "multipart/encrypted" || !strings.EqualFold(root.Params["protocol"], "application/pgp-encrypted") ||
		len(root.Parts) != 2 || root.Parts[0].MediaType != "application/pgp-encrypted" || root.Parts[1].MediaType != "application/octet-stream" {
		return PacketList{}, NotEncrypted
	}
	control, err := io.ReadAll(io.LimitReader(m.Decode(root.Parts[0]), 64))
	if err != nil {
		return PacketList{}, fmt.Errorf("encrypt: list packets: %w", err)
	}
	if strings.TrimSpace(string(control)) != "Version: 1" {
		return PacketList{}, NotEncrypted
	}
	return ListPackets(m.Decode(root.Parts[1]))
}

// errPacket is any fault in how packets stand one after another.
var errPacket = errors.New("encrypt: damaged OpenPGP packets")

// packetScanner goes from packet to packet (RFC 9580 §4.2) in one pass and keeps nothing. Read
// and ReadByte give the body of the current one.
type packetScanner struct {
	r       *bufio.Reader
	left    int64 // of the body or of its current piece
	partial bool  // another piece follows
	rest    bool  // the body goes on to the end of the input
}

func newPacketScanner(r io.Reader) *packetScanner {
	return &packetScanner{r: bufio.NewReaderSize(r, 16<<10)}
}

// next passes over what is left of the body and returns the type of the next packet; io.EOF
// only where a packet could begin.
func (s *packetScanner) next() (tag int, err error) {
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{s}); err != nil {
		return 0, err
	}
	s.left, s.partial, s.rest = 0, false, false
	head, err := s.r.ReadByte()
	switch {
	case err != nil:
		return 0, err
	case head&0x80 == 0:
		return 0, errPacket
	case head&0x40 != 0:
		tag = int(head & 0x3f)
		err = s.length(tag)
	default:
		tag = int(head & 0x3f >> 2)
		err = s.oldLength(tag, head&3)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return tag, err
}

// length reads a length of the present form (RFC 9580 §4.2.1). Only data may come in pieces.
func (s *packetScanner) length(tag int) error {
	b, err := s.r.ReadByte()
	if err != nil {
		return err
	}
	s.partial = false
	switch {
	case b < 192:
		s.left = int64(b)
	case b < 224:
		c, err := s.r.ReadByte()
		if err != nil {
			return err
		}
		s.left = int64(b-192)<<8 + int64(c) + 192
	case b < 255:
		if !isData(tag) {
			return errPacket
		}
		s.left, s.partial = 1<<(b&0x1f), true
	default:
		var n [4]byte
		if _, err := io.ReadFull(s.r, n[:]); err != nil {
			return err
		}
		s.left = int64(binary.BigEndian.Uint32(n[:]))
	}
	return nil
}

// oldLength reads a length of the old form (RFC 9580 §4.2.2).
func (s *packetScanner) oldLength(tag int, kind byte) error {
	if kind == 3 {
		if !isData(tag) {
			return errPacket
		}
		s.rest = true
		return nil
	}
	var n [4]byte
	if _, err := io.ReadFull(s.r, n[4-1<<kind:]); err != nil {
		return err
	}
	s.left = int64(binary.BigEndian.Uint32(n[:]))
	return nil
}

func isData(tag int) bool { return tag == tagData || tag == tagOldData || tag == tagAEADData }

// Read gives bytes of the current body.
func (s *packetScanner) Read(p []byte) (int, error) {
	for !s.rest && s.left == 0 {
		if !s.partial {
			return 0, io.EOF
		}
		if err := s.length(tagData); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	if !s.rest && int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.r.Read(p)
	if !s.rest {
		s.left -= int64(n)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// ReadByte gives the next byte of the current body.
func (s *packetScanner) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(s, b[:])
	return b[0], err
}

// sessionKey reads the start of a session-key packet (RFC 9580 §5.1.1, §5.1.2).
func (s *packetScanner) sessionKey() (SessionKeyPacket, error) {
	version, err := s.ReadByte()
	p := SessionKeyPacket{Version: int(version)}
	switch {
	case err != nil:
		return p, err
	case version == 2, version == 3: // 2 is what programs of the nineties wrote, and reads the same
		var id [8]byte
		if _, err := io.ReadFull(s, id[:]); err != nil {
			return p, err
		}
		p.KeyID = binary.BigEndian.Uint64(id[:])
	case version == 6:
		if err := s.keyName(&p); err != nil {
			return p, err
		}
	default:
		return p, errPacket
	}
	p.Algorithm, err = s.ReadByte()
	return p, err
}

// keyName reads version and fingerprint of the key in a packet of version 6; none is hidden.
func (s *packetScanner) keyName(p *SessionKeyPacket) error {
	size, err := s.ReadByte()
	if err != nil || size == 0 {
		return err
	}
	name := make([]byte, size)
	if _, err := io.ReadFull(s, name); err != nil {
		return err
	}
	p.Fingerprint = name[1:]
	switch {
	case name[0] == 4 && size == 21:
		p.KeyID = binary.BigEndian.Uint64(p.Fingerprint[12:])
	case name[0] == 6 && size == 33:
		p.KeyID = binary.BigEndian.Uint64(p.Fingerprint[:8])
	default:
		return errPacket
	}
	return nil
}
