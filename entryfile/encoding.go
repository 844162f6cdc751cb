package entryfile

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// encodings are those that can be asked for.
var encodings = map[string]encoding.Encoding{
	"utf-8":        encoding.Nop,
	"utf-16le":     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	"utf-16be":     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"windows-1252": charmap.Windows1252,
	"iso-8859-1":   charmap.ISO8859_1,
	"iso-8859-15":  charmap.ISO8859_15,
	"cp850":        charmap.CodePage850,
	"cp865":        charmap.CodePage865,
	"macintosh":    charmap.Macintosh,
}

// Encodings are the names that [Options.Encoding] takes.
func Encodings() []string { return slices.Sorted(maps.Keys(encodings)) }

// text is the source as UTF-8. A byte order mark that is left is trimmed with the first cell.
func (s *source) text(name string) io.Reader {
	if name == "utf-8" {
		return s.reader()
	}
	return encodings[name].NewDecoder().Reader(s.reader())
}

// encoding finds the encoding by the whole content.
func (s *source) encoding() (string, error) {
	begin := s.begin(4096)
	switch {
	case bytes.HasPrefix(begin, []byte("\xff\xfe")):
		return "utf-16le", nil
	case bytes.HasPrefix(begin, []byte("\xfe\xff")):
		return "utf-16be", nil
	}
	var zeros [2]int
	for i, b := range begin {
		if b == 0 {
			zeros[i%2]++
		}
	}
	switch half := len(begin) / 2; {
	case zeros[1]*10 > half*7 && zeros[0] == 0 && half > 4:
		return "utf-16le", nil
	case zeros[0]*10 > half*7 && zeros[1] == 0 && half > 4:
		return "utf-16be", nil
	case zeros[0]+zeros[1] > len(begin)/20:
		return "", wrongf(1, 1, "not a text file: want an Excel workbook (.xlsx), CSV or JSON Lines")
	}
	seen, err := s.census()
	if err != nil {
		return "", err
	}
	switch {
	case seen.invalid == 0:
		return "utf-8", nil
	case seen.valid > 0:
		return "", wrongf(seen.line, seen.column, "byte 0x%02X is not UTF-8, and other characters of the file are: save it as CSV UTF-8, or add --encoding", seen.first)
	case seen.odd > 0 && seen.nordic == 0:
		return "", wrongf(seen.line, seen.column, "byte 0x%02X is a letter in an encoding of DOS or old Macs: add --encoding cp865 or --encoding macintosh, or save it as CSV UTF-8", seen.first)
	}
	return "windows-1252", nil
}

// census is what bytes beyond ASCII there are.
type census struct {
	valid, invalid int // sequences of UTF-8, and bytes that are not
	nordic         int // letters in Windows-1252
	odd            int // bytes between letters that are none in Windows-1252
	line, column   int // of the first invalid byte
	first          byte
}

func (s *source) census() (c census, err error) {
	b := make([]byte, 0, 1<<16)
	in := s.reader()
	line, column := 1, 1
	var before byte
	for done := false; !done; {
		n, err := in.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil && err != io.EOF {
			return c, err
		}
		done = err == io.EOF
		i := 0
		for i < len(b) {
			x := b[i]
			if x < utf8.RuneSelf {
				if column++; x == '\n' {
					line, column = line+1, 1
				}
				before = x
				i++
				continue
			}
			if !done && !utf8.FullRune(b[i:]) {
				break
			}
			r, size := utf8.DecodeRune(b[i:])
			switch {
			case r == 0xfeff:
			case r != utf8.RuneError || size > 1:
				c.valid++
			default:
				if c.invalid++; c.invalid == 1 {
					c.line, c.column, c.first = line, column, x
				}
				letter := before|0x20 >= 'a' && before|0x20 <= 'z'
				switch {
				case bytes.IndexByte([]byte("\xe6\xf8\xe5\xc6\xd8\xc5\xe4\xf6\xfc\xe9\xc4\xd6\xdc\xc9"), x) >= 0:
					c.nordic++
				case letter && bytes.IndexByte([]byte("\x86\x91\x9b\x8f\x92\x9d\x84\x94\x81\x8c\xbe\xbf\xae\xaf\x8e\x9a"), x) >= 0:
					c.odd++
				}
			}
			column++
			before = x
			i += size
		}
		b = b[:copy(b, b[i:])]
	}
	return c, nil
}

// encodingName is an encoding as people know it.
func encodingName(name string, mark bool) string {
	out := map[string]string{"utf-8": "UTF-8", "utf-16le": "UTF-16 LE", "utf-16be": "UTF-16 BE", "windows-1252": "Windows-1252",
		"iso-8859-1": "ISO-8859-1", "iso-8859-15": "ISO-8859-15", "cp850": "CP850", "cp865": "CP865", "macintosh": "Macintosh"}[name]
	if mark {
		return fmt.Sprintf("%s with byte order mark", out)
	}
	return out
}
