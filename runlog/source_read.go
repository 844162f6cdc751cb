package runlog

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// stagedColumns are the columns of a source in the order in which they are read and
// staged.
var stagedColumns = [...]struct {
	name     string
	longest  int // in characters
	required bool
}{
	organizationColumn: {"organization_id", 36, true},
	1:                  {"entry_id", 500, true},
	2:                  {"voucher_id", 500, true},
	dateColumn:         {"entry_date", 10, true},
	4:                  {"account", 500, false},
	amountColumn:       {"amount", 80, false},
	6:                  {"currency", 500, false},
	7:                  {"text", 10_000, false},
	8:                  {"dimensions", 100_000, false},
}

// The columns that are checked as more than text.
const (
	organizationColumn = 0
	dateColumn         = 3
	amountColumn       = 5
)

func stagedNames() (names []string) {
	for _, c := range stagedColumns {
		names = append(names, c.name)
	}
	return names
}

// readSource selects one organization's entries: those before a date, and those of
// a list. Everything comes as text, cut off one character after what is allowed, so
// that no type of the source's own and no giant arrives.
//
//	$1 organization  $2 the date  $3 the list
var readSource = func() string {
	var columns []string
	for _, c := range stagedColumns {
		columns = append(columns, fmt.Sprintf("left(source.%s::text, %d)", c.name, c.longest+1))
	}
	return "SELECT " + strings.Join(columns, ", ") + `
FROM {source} AS source WHERE source.organization_id = $1 AND (source.entry_date < $2{since} OR source.entry_id = ANY($3::text[]))`
}()

// sinceMark leaves out of [readSource] what came before a mark.
//
//	$4 its position  $5 its date
const sinceMark = ` AND (source.entry_date >= $5 OR source.` + markedColumn + ` >= $4::text::xid8 OR source.` + markedColumn + ` IS NULL)`

// read passes to take the entries of an organization before a date, and those in also. It
// may leave out what came before r.since; then r.since stays, and r.seen is what the next
// reading can begin with. An error that the source causes is a [*SourceError].
func (s *Sources) read(ctx context.Context, source string, organization uuid.UUID, before time.Time, also []string, r *reading, take func(*sourceRows) error) error {
	limited, stop := context.WithTimeout(ctx, s.Timeout+5*time.Second)
	defer stop()
	var ours error // of take, not of the source
	err := s.look(limited, organization, func(tx pgx.Tx) error {
		problems, hasMarks, err := checkSource(limited, tx, source)
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			return &SourceError{source, joined(problems)}
		}
		if err := r.begin(limited, tx, hasMarks); err != nil {
			return err
		}
		query, args := strings.Replace(readSource, "{since}", "", 1), []any{organization, before, also}
		if r.since != nil {
			query = strings.Replace(readSource, "{since}", sinceMark, 1)
			args = append(args, strconv.FormatInt(r.since.Position, 10), r.since.Before)
		}
		rows, err := tx.Query(limited, from(query, source), args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		defer stop() // before Close, which would read all that is left
		taken := &sourceRows{sources: s, source: source, organization: organization.String(), rows: rows}
		if err := take(taken); err != nil && taken.err == nil {
			ours = err
			return err
		}
		return taken.err
	})
	var left *sessionLeft // ending it may have taken all the time, and is the reason
	switch {
	case err == nil || ctx.Err() != nil || ours != nil:
		return err
	case errors.Is(limited.Err(), context.DeadlineExceeded) && !errors.As(err, &left):
		return slow(source, s.Timeout)
	}
	return readError(source, err)
}

func slow(source string, after time.Duration) error {
	return &SourceError{source, fmt.Sprintf("reading it took longer than %v; make the view faster, or fill a table from it", after)}
}

// sourceRows are rows of a source on their way to [stagedTable]; a
// [pgx.CopyFromSource].
type sourceRows struct {
	sources      *Sources
	source       string
	organization string
	rows         pgx.Rows
	read         int   // how many rows
	bytes        int64 // of them
	values       []any // of the current row
	err          error // what ended them early
}

// errSourceEnded is all that our own server learns of an error of a source.
var errSourceEnded = errors.New("the source ended early")

// Next reads and checks a row.
func (r *sourceRows) Next() bool {
	if r.err != nil {
		return false
	}
	if !r.rows.Next() {
		r.err = r.rows.Err()
		return false
	}
	if r.values, r.err = r.row(r.rows.RawValues()); r.err != nil {
		if source := (*SourceError)(nil); !errors.As(r.err, &source) {
			r.err = &SourceError{r.source, fmt.Sprintf("row %d: %v", r.read, r.err)}
		}
	}
	return r.err == nil
}

// Values returns the row.
func (r *sourceRows) Values() ([]any, error) { return r.values, nil }

// Err returns what ended the rows early.
func (r *sourceRows) Err() error {
	if r.err != nil {
		return errSourceEnded
	}
	return nil
}

var plainAmount = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// row checks what is in a row, nil where it is NULL, and gives it our types.
func (r *sourceRows) row(raw [][]byte) ([]any, error) {
	if r.read++; r.read > r.sources.Rows {
		return nil, &SourceError{r.source, fmt.Sprintf("it has more than %d entries to read; leave out of it what was exported long ago", r.sources.Rows)}
	}
	values := make([]any, len(raw))
	for i, text := range raw {
		column := stagedColumns[i]
		switch r.bytes += int64(len(text)); {
		case r.bytes > r.sources.Bytes:
			return nil, &SourceError{r.source, fmt.Sprintf("it has more than %d MB to read; leave out of it what was exported long ago", r.sources.Bytes>>20)}
		case text == nil && column.required:
			return nil, fmt.Errorf("has no %s", column.name)
		case text == nil:
			continue
		case !utf8.Valid(text):
			return nil, fmt.Errorf("%s is not valid UTF-8", column.name)
		case utf8.RuneCount(text) > column.longest:
			return nil, fmt.Errorf("%s has more than %d characters", column.name, column.longest)
		}
		values[i] = string(text)
	}
	if values[organizationColumn] != r.organization {
		return nil, fmt.Errorf("belongs to another organization than %s", r.organization)
	}
	date, err := time.Parse(time.DateOnly, values[dateColumn].(string))
	if err != nil {
		return nil, errors.New("entry_date is not a date")
	}
	values[dateColumn] = date
	if text, ok := values[amountColumn].(string); ok {
		var amount pgtype.Numeric
		if !plainAmount.MatchString(text) || amount.Scan(text) != nil {
			return nil, errors.New("amount is not a decimal number")
		}
		values[amountColumn] = amount
	}
	return values, nil
}

// readError translates an error of reading a source. Code of a source can raise any
// error with any text, so only what the server itself says, and what a standby or
// an overloaded server says of a statement, is worth trying again.
func readError(source string, err error) error {
	var pg *pgconn.PgError
	var known *SourceError
	var login refusedLogin
	var left *sessionLeft
	var large *pgproto3.ExceededMaxBodyLenErr
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &login) || errors.As(err, &left):
		return &SourceError{source, err.Error()}
	case errors.As(err, &large):
		return &SourceError{source, fmt.Sprintf("it sent more than %d KB at once, in a row or an error", largestMessage>>10)}
	case !errors.As(err, &pg):
		return fmt.Errorf("source %s: %w", source, err)
	}
	said := fmt.Sprintf("%.200q", pg.Message)
	switch class := pg.Code[:min(2, len(pg.Code))]; {
	case class == "28" || class == "3D" || pg.Code == "42501" && pg.SeverityUnlocalized == "FATAL":
		return &SourceError{source, "its database refuses the login: " + said + "; correct " + SourceVariable}
	case pg.SeverityUnlocalized == "FATAL" || class == "40" || class == "53" || pg.Code == "55P03":
		return &sourceAway{source, said, err}
	case pg.Code == "57014":
		return &SourceError{source, "reading it was cancelled, as happens to what takes too long: " + said + "; make the view faster, or fill a table from it"}
	case pg.Code == "25006":
		return &SourceError{source, "it tries to write, but a source may only be read: " + said}
	case pg.Code == "42501":
		return &SourceError{source, "it needs a right that the login of " + SourceVariable + " does not have: " + said + "; grant it to that login, or to the owner of the view"}
	}
	return &SourceError{source, "reading it failed: " + said + " (SQLSTATE " + pg.Code + ")"}
}

// sourceAway is an error of a source that may not come again.
type sourceAway struct {
	source, said string
	err          error
}

func (e *sourceAway) Error() string { return "source " + e.source + ": its database says " + e.said }
func (e *sourceAway) Unwrap() error { return e.err }

func joined(list []string) string { return strings.Join(list, "; ") }
