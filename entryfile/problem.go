package entryfile

import (
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/plain"
)

const (
	// ShownErrors is how many problems of a file the text of an [Error] has.
	ShownErrors = 20

	maxErrorText = 400     // characters of one
	maxRecord    = 1 << 20 // bytes of one entry in a file
	maxName      = 200     // characters of an ID or account
	maxText      = 500     // characters of a text: what is stored of it
)

// Problem is something that is wrong with a file, and where.
type Problem struct {
	Line    int    `json:"line"`           // from 1
	Column  int    `json:"column"`         // in characters from 1; of a workbook the column, A is 1
	Cell    string `json:"cell,omitempty"` // of a workbook, such as B17
	Message string `json:"message"`
}

// Error is the problem with its place.
func (p *Problem) Error() string {
	if p.Cell != "" {
		return p.Cell + ": " + p.Message
	}
	return fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Message)
}

// Error is everything that is wrong with a file.
type Error struct {
	File     string
	Problems []Problem // the first of them
	Count    int       // of all
}

// Error is a line for each of the first [ShownErrors] problems, and how many more there are.
func (e *Error) Error() string {
	shown := e.Problems[:min(len(e.Problems), ShownErrors)]
	lines := make([]string, 0, len(shown)+1)
	for _, p := range shown {
		between := ":"
		if p.Cell != "" {
			between = ": "
		}
		lines = append(lines, e.File+between+p.Error())
	}
	if more := e.Count - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("%s: and %d more", e.File, more))
	}
	return strings.Join(lines, "\n")
}

// place is where something is.
type place struct {
	line, column int
	cell         string
}

func problemf(at place, format string, args ...any) Problem {
	text := plain.Line(plain.Clip(fmt.Sprintf(format, args...), maxErrorText))
	return Problem{Line: at.line, Column: at.column, Cell: at.cell, Message: text}
}

func wrongf(line, column int, format string, args ...any) error {
	p := problemf(place{line: line, column: column}, format, args...)
	return &p
}
