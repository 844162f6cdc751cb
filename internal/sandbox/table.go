package sandbox

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
)

// view is what can be seen: what there was after so many changes.
type view int

// current is the view of everything that is there now.
const current view = math.MaxInt

// life is when something appeared and when it went, 0 if it has not, counted
// in changes.
type life struct{ born, gone int }

func (l life) seen(v view) bool { return l.born <= int(v) && (l.gone == 0 || l.gone > int(v)) }

// change notes that something changes and returns its number.
func (s *Sandbox) change() int {
	s.changes = append(s.changes, s.now())
	return len(s.changes)
}

// shows is what a look-up sees under a rule.
func (s *Sandbox) shows(r Rule) view {
	switch {
	case !r.Stale:
		return current
	case r.AsOf.IsZero():
		return r.scripted
	}
	n, _ := slices.BinarySearchFunc(s.changes, r.AsOf, func(at, asOf time.Time) int {
		if at.After(asOf) {
			return 1
		}
		return -1
	})
	return view(n)
}

// table is a list of Business Central's with an index. A row's place never
// changes. What has gone stays, for those who see it late.
type table struct {
	rows []tableRow
	by   map[column][]int // places, by the columns of indexed, whatever has gone
}

type tableRow struct {
	life
	content json.RawMessage
}

// column is a text in a column, in capitals.
type column struct{ name, text string }

// indexed are the columns by which rows are looked for.
var indexed = []string{"externalDocumentNumber", "documentNumber"}

// codes are columns that hold capitals without blanks around them, whatever is
// written to them.
var codes = []string{"accountNumber", "documentNumber", "externalDocumentNumber"}

func newTable() table { return table{by: make(map[column][]int)} }

// add adds a row.
func (t *table) add(c *call, row record) {
	place := len(t.rows)
	content, _ := json.Marshal(row)
	t.rows = append(t.rows, tableRow{life{born: c.sb.change()}, content})
	c.undo(func() { t.rows = t.rows[:place] })
	for _, name := range indexed {
		at := column{name, strings.ToUpper(row.text(name))}
		t.by[at] = append(t.by[at], place)
		c.undo(func() { t.by[at] = t.by[at][:len(t.by[at])-1] })
	}
}

// remove removes a row.
func (t *table) remove(c *call, place int) {
	t.rows[place].gone = c.sb.change()
	c.undo(func() { t.rows[place].gone = 0 })
}

// all returns the places of the rows that can be seen.
func (t *table) all(v view) (found []int) {
	for i, r := range t.rows {
		if r.seen(v) {
			found = append(found, i)
		}
	}
	return found
}

// find returns the places of rows with one of the texts in a column. Codes are
// found in any case.
func (t *table) find(v view, name string, texts []string) (found []int) {
	if slices.Contains(indexed, name) {
		for _, text := range texts {
			for _, i := range t.by[column{name, strings.ToUpper(text)}] {
				if t.rows[i].seen(v) {
					found = append(found, i)
				}
			}
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	for _, i := range t.all(v) {
		have := parseRecord(t.rows[i].content).text(name)
		if slices.ContainsFunc(texts, func(text string) bool {
			return text == have || slices.Contains(codes, name) && strings.ToUpper(text) == have
		}) {
			found = append(found, i)
		}
	}
	return found
}

// unquoted returns a JSON string's text, or a number as written.
func unquoted(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
