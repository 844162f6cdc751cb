package integrations

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/internal/lazy"
	"github.com/ledgerline/ledgerline/plain"
)

// What the YAML parser says, with what to do. Its line is of no use: it is where the
// surrounding block began, and one less in half of the cases.
var syntaxRemedies = []struct{ says, means string }{
	{"found character that cannot start any token", "a text cannot begin with this character; put the text in quotes"},
	{"mapping values are not allowed", "a second \": \" in one line, or a field that is indented like a value; put a text with \": \" in quotes, or align the field with the others"},
	{"could not find expected ':'", "a field has no \": \" after its name; want name: value"},
	{"did not find expected '-' indicator", "want the next item of the list, which begins with \"- \" below the one before"},
	{"did not find expected key", "the line is not aligned with those above, or what stands before it is not closed"},
	{"did not find expected ',' or ']'", "a [ is not closed; want ]"},
	{"did not find expected ',' or '}'", "a { is not closed; want }"},
	{"did not find expected node content", "something is missing between the signs; want a value"},
	{"found unexpected end of stream", "a quote is not closed"},
	{"found unexpected document indicator", "a quote is not closed"},
	{"block sequence entries are not allowed", "a list begins on the line of its field; put \"- \" on a line of its own"},
	{"found unknown escape character", "a backslash in double quotes; put the text in single quotes"},
	{"undefined alias", "anchors and aliases are not supported; put a text that begins with * in quotes"},
	{"unknown anchor", "anchors and aliases are not supported; put a text that begins with * in quotes"},
	{"did not find expected alphabetic or numeric character", "a text that begins with & or * must be in quotes"},
}

var yamlPrefix = lazy.Regexp(`^yaml: (line \d+: )?`)

// tabIndent is a line whose indentation has a tab.
var tabIndent = lazy.Regexp(`^ *\t[ \t]*[^ \t\r\n#]`)

// syntaxError is what makes a file no YAML, with the line at which it stops being some.
func syntaxError(name string, src []byte, err error) error {
	line := firstWrongLine(src)
	lines := bytes.SplitAfter(src, []byte("\n"))
	if line <= len(lines) && tabIndent().Match(lines[line-1]) {
		return fmt.Errorf("%s:%d: a tab is used for indentation; YAML wants blanks", name, line)
	}
	text := yamlPrefix().ReplaceAllString(err.Error(), "")
	for _, r := range syntaxRemedies {
		if strings.Contains(text, r.says) {
			text = "this is not YAML: " + r.means + " (" + text + ")"
			break
		}
	}
	return fmt.Errorf("%s:%d: %s", name, line, plain.Line(plain.Clip(text, maxErrorLen)))
}

// firstWrongLine is the first line with which what stands before it is no YAML any more, from 1.
// What was read is known to within a few bytes, since the parser reads no further than it must;
// from there it goes back to a beginning that is YAML: line by line, since a text or a mapping over some
// lines is none before it ends, and for what was opened far above in growing steps and then by halves.
func firstWrongLine(src []byte) int {
	lines := bytes.SplitAfter(src, []byte("\n"))
	reader := &lineReader{lines: lines}
	_ = readable(reader)
	wrong := max(1, reader.read) // with so many lines it is wrong
	right := wrong - 1
	for tried, step := 0, 1; right > 0 && !startsWell(lines[:right]); tried++ {
		if tried > oneByOne || len(src) > smallFile {
			step *= 2
		}
		wrong, right = right, max(0, right-step)
	}
	for wrong-right > 1 {
		middle := (wrong + right) / 2
		if startsWell(lines[:middle]) {
			right = middle
		} else {
			wrong = middle
		}
	}
	return wrong
}

// oneByOne is how many lines are gone back one by one, in a file of at most smallFile bytes.
const (
	oneByOne  = 200
	smallFile = 64 << 10
)

// startsWell reports whether the beginning of a file is YAML by itself.
func startsWell(lines [][]byte) bool { return readable(bytes.NewReader(bytes.Join(lines, nil))) == nil }

// readable returns why documents are not YAML.
func readable(r io.Reader) error {
	for docs := yaml.NewDecoder(r); ; {
		var doc yaml.Node
		if err := docs.Decode(&doc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// lineReader hands out a line at a time, and counts them.
type lineReader struct {
	lines [][]byte
	read  int
	rest  []byte
}

// Read is of an io.Reader.
func (r *lineReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.read == len(r.lines) {
			return 0, io.EOF
		}
		r.rest = r.lines[r.read]
		r.read++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
