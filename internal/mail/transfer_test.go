package mail

import (
	"bytes"
	"encoding/base64"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// base64Body is a body as mail apps write it, with what they should not write now and then.
func base64Body(t *rapid.T) string {
	var b strings.Builder
	if rapid.Bool().Draw(t, "long") { // a large file, which may end like a ZIP archive
		n := rapid.SampledFrom([]int{3, 57, 747}).Draw(t, "each")
		file := bytes.Repeat([]byte{0x89, 0xff, 0x4b, rapid.Byte().Draw(t, "filling")}, rapid.SampledFrom([]int{1_500, 40_000}).Draw(t, "size"))
		file = append(file, rapid.SampledFrom([]string{"PK\x05\x06" + strings.Repeat("\x00", 18), "PK\x05\x06" + strings.Repeat("\x01", tailSize-4), "PK\x05\x06" + strings.Repeat("\x01", tailSize-3)}).Draw(t, "ending")...)
		for line := range slices.Chunk(file[len(file)%3:], n) {
			b.WriteString(base64.StdEncoding.EncodeToString(line) + "\r\n")
		}
		if rapid.Bool().Draw(t, "whole") {
			return b.String()
		}
	}
	for range rapid.IntRange(0, 30).Draw(t, "lines") {
		n := rapid.SampledFrom([]int{57, 57, 57, 57, 54, 45, 3, 1, 2, 0, 747, 750, 2000}).Draw(t, "bytes")
		line := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n))
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			at := rapid.IntRange(0, len(line)).Draw(t, "at")
			line = line[:at] + rapid.SampledFrom([]string{"=", "==", "-", "!", " ", "\t", "\r", "\n", "\x00", "\xe9", "_", "A", "AB", "--b", "\r\n--b\r\n\r\n"}).Draw(t, "junk") + line[at:]
		}
		b.WriteString(line + rapid.SampledFrom([]string{"\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r\r\n", " \r\n", ""}).Draw(t, "end"))
	}
	return b.String()
}

// TestBase64Lines holds the quick way to read base64 against the one that goes letter by letter.
func TestBase64Lines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		src := []byte(base64Body(t))
		var slow, quick base64Decoder
		want := slow.close(slow.letters(nil, src))
		var got []byte
		for rest := src; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			got = quick.decode(got, rest[:n])
			rest = rest[n:]
		}
		got = quick.close(got)
		if !bytes.Equal(got, want) || quick.bad() != slow.bad() {
			t.Fatalf("%q: %q, %v; letter by letter %q, %v", src, got, quick.bad(), want, slow.bad())
		}
	})
}

// TestParseByLines: what is skipped while a message is parsed would have changed nothing.
func TestParseByLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"image/jpeg", "text/plain; charset=utf-8", "application/pdf", "application/octet-stream"}).Draw(t, "type")
		part := "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Body(t)
		msg := "From: maya@willowhouse.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + part + "\r\n--b\r\n" + part + "\r\n--b--\r\n"
		if rapid.Bool().Draw(t, "alone") {
			msg = "From: maya@willowhouse.example\r\nMIME-Version: 1.0\r\n" + part
		}
		lim := DefaultLimits()
		lim.TextBytes = rapid.SampledFrom([]int64{100, 1000, 8 << 20}).Draw(t, "text")
		src := strings.NewReader(msg)
		want, err := parse(src, src.Size(), lim, reading{slowly: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(src, src.Size(), lim)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q:\n%+v\n%+v\nline by line", msg, got, want)
		}
	})
}
