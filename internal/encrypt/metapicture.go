package encrypt

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
)

const pngSign = "\x89PNG\r\n\x1a\n"

// jpeg copies what is drawn: tables, frames, scans (ITU-T T.81 annex B), the marker of JFIF,
// the colour profile and Adobe's colour transform. Of Exif the orientation stays. What follows
// the end of the picture, such as a film or other sizes of it, does not.
func (c *cleaner) jpeg(w io.Writer, file io.Reader) error {
	r, out := bufio.NewReader(file), bufio.NewWriter(w)
	put := func(b ...byte) { _, _ = out.Write(b) } // Flush returns the error
	put(0xff, 0xd8)
	if _, err := r.Discard(2); err != nil {
		return damaged(err)
	}
	orientation, wroteHead, scans := byte(0), false, false
	// The Exif of ours stands before the first segment that draws.
	head := func() {
		if !wroteHead && orientation > 1 {
			put(0xff, 0xe1, 0, byte(2+6+len(exifOrientation(orientation, binary.BigEndian))))
			put([]byte("Exif\x00\x00")...)
			put(exifOrientation(orientation, binary.BigEndian)...)
		}
		wroteHead = true
	}
	for next := byte(0); ; {
		marker, err := next, error(nil)
		if next = 0; marker == 0 {
			marker, err = jpegMarker(r)
		}
		if err != nil {
			return err
		}
		if marker == 0xd9 {
			if !scans {
				return Damaged
			}
			break
		}
		if marker >= 0xd0 && marker <= 0xd8 || marker <= 0x01 {
			return Damaged // stands alone, and not here
		}
		var length [2]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return damaged(err)
		}
		n := int(binary.BigEndian.Uint16(length[:])) - 2
		if n < 0 {
			return Damaged
		}
		segment := make([]byte, n)
		if _, err := io.ReadFull(r, segment); err != nil {
			return damaged(err)
		}
		if marker >= 0xe0 && marker <= 0xef || marker == 0xfe {
			kept, trace := jpegKept(marker, segment)
			if trace != "" {
				c.remove(trace)
			}
			if trace == TraceExif && orientation == 0 {
				if orientation = exifOrientationOf(segment[6:]); orientation > 1 && wroteHead {
					return Uncleanable // out of order: readers differ about how it is turned
				}
			}
			if kept == nil {
				continue
			}
			segment = kept
		} else {
			head()
		}
		put(0xff, marker)
		put(binary.BigEndian.AppendUint16(nil, uint16(len(segment)+2))...)
		put(segment...)
		if marker == 0xda {
			scans = true
			if next, err = jpegScan(r, put); err != nil {
				return err
			}
		}
	}
	put(0xff, 0xd9)
	if _, err := r.ReadByte(); err == nil {
		c.remove(TraceTrailer)
	}
	return out.Flush()
}

// jpegMarker reads the next marker, behind any fill bytes.
func jpegMarker(r *bufio.Reader) (byte, error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, damaged(err)
	}
	if b != 0xff {
		return 0, Damaged
	}
	for b == 0xff {
		if b, err = r.ReadByte(); err != nil {
			return 0, damaged(err)
		}
	}
	return b, nil
}

// jpegScan copies entropy-coded data up to the next marker, which it returns.
func jpegScan(r *bufio.Reader, put func(...byte)) (byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, damaged(err)
		}
		if b != 0xff {
			put(b)
			continue
		}
		for b == 0xff { // the first, or fill
			if b, err = r.ReadByte(); err != nil {
				return 0, damaged(err)
			}
		}
		if b != 0 && (b < 0xd0 || b > 0xd7) {
			return b, nil
		}
		put(0xff, b) // a stuffed byte, or a restart
	}
}

// jpegKept returns what stays of an application segment or comment, nil for nothing, and the
// trace that goes.
func jpegKept(marker byte, segment []byte) ([]byte, Trace) {
	has := func(s string) bool { return bytes.HasPrefix(segment, []byte(s)) }
	switch {
	case marker == 0xe0 && has("JFIF\x00") && len(segment) >= 14:
		kept := slices.Clone(segment[:14])
		kept[12], kept[13] = 0, 0 // no thumbnail
		if len(segment) > 14 {
			return kept, TraceThumbnail
		}
		return kept, ""
	case marker == 0xe0 && has("JFXX\x00"):
		return nil, TraceThumbnail
	case marker == 0xe2 && has("ICC_PROFILE\x00"), marker == 0xee && has("Adobe") && len(segment) == 12:
		return segment, ""
	case marker == 0xe1 && has("Exif\x00"):
		if len(segment) < 6 {
			return nil, TraceOther
		}
		return nil, TraceExif
	case marker == 0xe1 && (has("http://ns.adobe.com/xap/") || has("http://ns.adobe.com/xmp/")):
		return nil, TraceXMP
	case marker == 0xfe, marker == 0xed: // comment; IPTC
		return nil, TraceText
	}
	return nil, TraceOther
}

// exifOrientation is Exif that says how a picture is turned and nothing else (TIFF 6.0 §2).
func exifOrientation(o byte, order binary.AppendByteOrder) []byte {
	b := order.AppendUint16([]byte("MM"), 42)
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 1)
	b = order.AppendUint16(b, 0x0112) // Orientation
	b = order.AppendUint16(b, 3)      // SHORT
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, uint16(o))
	return order.AppendUint32(append(b, 0, 0), 0)
}

// exifOrientationOf reads the orientation; 1, upright, where there is none.
func exifOrientationOf(tiff []byte) byte {
	var order binary.ByteOrder = binary.BigEndian
	switch {
	case bytes.HasPrefix(tiff, []byte("II*\x00")):
		order = binary.LittleEndian
	case !bytes.HasPrefix(tiff, []byte("MM\x00*")):
		return 1
	}
	if len(tiff) < 8 || order.Uint32(tiff[4:]) > uint32(len(tiff)-2) {
		return 1
	}
	dir := tiff[order.Uint32(tiff[4:]):]
	for i := range int(order.Uint16(dir)) {
		if len(dir) < 2+12*(i+1) {
			break
		}
		e := dir[2+12*i:]
		if o := order.Uint16(e[8:]); order.Uint16(e) == 0x0112 && order.Uint16(e[2:]) == 3 && o >= 1 && o <= 8 {
			return byte(o)
		}
	}
	return 1
}

// pngKept are the chunks that say what is drawn (PNG 3rd edition §11, APNG among them).
func pngKept(kind string) bool {
	return slices.Contains([]string{"IHDR", "PLTE", "IDAT", "IEND", "tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV", "cLLI",
		"bKGD", "hIST", "pHYs", "sPLT", "acTL", "fcTL", "fdAT"}, kind)
}

// png copies the chunks that say what is drawn. Of Exif the orientation stays.
func (c *cleaner) png(w io.Writer, file io.Reader) error {
	r, out := bufio.NewReader(file), bufio.NewWriter(w)
	if _, err := r.Discard(len(pngSign)); err != nil {
		return damaged(err)
	}
	_, _ = out.WriteString(pngSign) // Flush returns the error
	for first := true; ; first = false {
		head := make([]byte, 8)
		if _, err := io.ReadFull(r, head); err != nil {
			return damaged(err)
		}
		n, kind := binary.BigEndian.Uint32(head), string(head[4:])
		if n > maxCleaned || first != (kind == "IHDR") {
			return Damaged
		}
		var body bytes.Buffer
		if _, err := io.CopyN(&body, r, int64(n)+4); err != nil {
			return damaged(err)
		}
		chunk, sum := body.Bytes()[:n], body.Bytes()[n:]
		if crc32.Update(crc32.ChecksumIEEE(head[4:]), crc32.IEEETable, chunk) != binary.BigEndian.Uint32(sum) {
			return Damaged
		}
		switch {
		case pngKept(kind):
		case kind[0] >= 'A' && kind[0] <= 'Z':
			return Uncleanable // needed for what is drawn, and unknown
		case kind == "eXIf":
			c.remove(TraceExif)
			o := exifOrientationOf(chunk)
			if o <= 1 {
				continue
			}
			chunk = exifOrientation(o, binary.BigEndian)
			head = append(binary.BigEndian.AppendUint32(nil, uint32(len(chunk))), kind...)
			sum = binary.BigEndian.AppendUint32(nil, crc32.Update(crc32.ChecksumIEEE(head[4:]), crc32.IEEETable, chunk))
		case kind == "tEXt", kind == "zTXt", kind == "iTXt":
			c.remove(TraceText)
			continue
		default:
			c.remove(TraceOther)
			continue
		}
		for _, b := range [][]byte{head, chunk, sum} {
			_, _ = out.Write(b)
		}
		if kind == "IEND" {
			break
		}
	}
	if _, err := r.ReadByte(); err == nil {
		c.remove(TraceTrailer)
	}
	return out.Flush()
}
