package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/plain"
)

// All output is written by this file, to the writers that [run] has wrapped: a text
// from outside can neither control a terminal nor forge a line. A test checks that
// the other files write nothing by themselves.

// maxCell is the longest text of a cell, in characters: all cells of a column are
// as wide as the widest.
const maxCell = 600

// say writes one line.
func say(w io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintln(w, plain.Line(fmt.Sprintf(format, args...)))
	return err
}

// sayError writes an error. Only its first line begins with the program's name, so
// that no text can add a line that looks like another message.
func sayError(w io.Writer, err error) {
	text := environ.Hide(err.Error())
	var path *fs.PathError
	if errors.As(err, &path) && path.Path != "" { // a file name can contain line ends
		text = strings.ReplaceAll(text, path.Path, plain.Line(path.Path))
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	say(w, "starter: %s", lines[0])
	for _, line := range lines[1:] {
		if line = strings.TrimSpace(line); line != "" {
			say(w, "  %s", line)
		}
	}
}

// count is a number of things: "1 entry", "2 vouchers".
func count[N int | int64](n N, thing string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(thing, "y"); ok {
			thing = stem + "ie"
		}
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// print writes a result: as JSON with -o json, otherwise as a table.
func (a *app) print(w io.Writer, value any, rows [][]string) error {
	if a.output == outputJSON {
		return printJSON(w, value)
	}
	return table(w, rows)
}

// table writes rows in columns. The first row is the heading.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, cell := range r {
			cells[i] = plain.Line(plain.Clip(cell, maxCell))
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return t.Flush()
}

// printJSON writes an indented JSON value.
func printJSON(w io.Writer, v any) error { return encode(w, v, "  ") }

// printJSONLine writes a JSON value on one line.
func printJSONLine(w io.Writer, v any) error { return encode(w, v, "") }

func encode(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", indent)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, plain.JSON(b.String()))
	return err
}

// control writes one of our own control sequences to a terminal.
func control(w io.Writer, sequence string) {
	if p, ok := w.(plain.Writer); ok {
		w = p.Raw
	}
	_, _ = io.WriteString(w, sequence)
}

// terminal returns the terminal that w writes to, or nil if it is a file or a pipe.
func terminal(w io.Writer) *os.File {
	if p, ok := w.(plain.Writer); ok {
		w = p.Raw
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// screen reports whether w is a terminal that can also move the cursor and colour.
func screen(w io.Writer) bool { return terminal(w) != nil && os.Getenv("TERM") != "dumb" }
