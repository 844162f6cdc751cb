package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/ledgerline/ledgerline/plain"
)

// progress shows how far a long operation is: a bar on a terminal, elsewhere a line
// every few seconds, and nothing at all if it is quick.
type progress struct {
	w     io.Writer
	label string
	total int // 0 if it is not known
	width int // of the terminal, 0 if there is none
	drawn time.Time
}

// newProgress starts a progress of total steps, or of an unknown number if 0.
func newProgress(w io.Writer, label string, total int) *progress {
	p := &progress{w: w, label: label, total: total, drawn: time.Now()}
	if f := terminal(w); f != nil {
		p.width = 80
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			p.width = width
		}
	}
	return p
}

// set shows how many steps are done, with a note.
func (p *progress) set(done int, note string) {
	pause := 5 * time.Second
	if p.width > 0 {
		pause = 100 * time.Millisecond
	}
	if time.Since(p.drawn) < pause {
		return
	}
	p.drawn = time.Now()
	line := p.line(done, note)
	if p.width == 0 {
		say(p.w, "%s", line)
		return
	}
	control(p.w, "\r\x1b[K"+plain.Line(line))
}

// line is at most as wide as the terminal less one: a full line would wrap.
func (p *progress) line(done int, note string) string {
	const cells = 24
	line := p.label
	if p.total > 0 {
		share := min(1, float64(done)/float64(p.total))
		if p.width > 0 {
			full := int(share * cells)
			line += " [" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "]"
		}
		line += fmt.Sprintf(" %3.0f%%", 100*share)
	}
	line += " " + note
	if p.width > 0 && utf8.RuneCountInString(line) >= p.width {
		line = clip(line, p.width-1)
	}
	return line
}

// end removes the bar.
func (p *progress) end() {
	if p.width > 0 {
		control(p.w, "\r\x1b[K")
	}
}
