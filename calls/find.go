package calls

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// minPrefix is the fewest characters of an ID that name something.
const minPrefix = 4

// Ref names a call: by its whole ID, by the first characters of it, or as the last one.
type Ref struct {
	Low, High uuid.UUID // the first and the last ID that it may be
	Prefix    string    // as in a UUID
	Last      bool      // the newest one that somebody made; then the others are not set

	Integration uuid.UUID // only of this one, if it is the last; [uuid.Nil] is any
}

// Whole is the ID, if the reference has all of it.
func (r Ref) Whole() (id uuid.UUID, ok bool) { return r.Low, !r.Last && r.Low == r.High }

// ParseRef reads an ID or the first characters of one, at least four.
func ParseRef(s string) (Ref, error) {
	digits := strings.ToLower(strings.ReplaceAll(s, "-", ""))
	if strings.Trim(digits, "0123456789abcdef") != "" || len(digits) < minPrefix || len(digits) > 32 {
		return Ref{}, fmt.Errorf("want a UUID, or at least its first %d characters: digits and the letters a to f", minPrefix)
	}
	low, _ := uuid.Parse(digits + strings.Repeat("0", 32-len(digits)))
	high, _ := uuid.Parse(digits + strings.Repeat("f", 32-len(digits)))
	n := len(digits)
	for _, before := range []int{8, 12, 16, 20} { // a dash follows each
		if len(digits) > before {
			n++
		}
	}
	return Ref{Low: low, High: high, Prefix: low.String()[:n]}, nil
}

// Found is a call that a reference may mean.
type Found struct {
	CorrelationID   uuid.UUID
	IntegrationName string
	Operation       string // "" if only Temporal knows the call
	StartedAt       time.Time
	Running         bool
}

// AmbiguousError is returned for the first characters of several IDs.
type AmbiguousError struct {
	What   string // calls
	Prefix string
	List   []string // what they are, one a line
	More   bool     // there are others
}

// Error lists them.
func (e *AmbiguousError) Error() string {
	n := fmt.Sprint(len(e.List))
	if e.More {
		n = "more than " + n
	}
	return fmt.Sprintf("%s %s begin with %s; give more characters:\n%s", n, e.What, e.Prefix, strings.Join(e.List, "\n"))
}

// MissingError is returned where there is no such call.
type MissingError struct{ What string }

// Error says what there is none of.
func (e *MissingError) Error() string {
	return e.What + "; a read that succeeded at once leaves no row, and Temporal keeps it for the retention of its namespace. See starter logs"
}

// maxListed is how many calls an [AmbiguousError] lists.
const maxListed = 10

// Find returns the ID of the call that is meant. A whole ID is not looked up. The errors are
// an [*AmbiguousError] and a [*MissingError].
func (s Sources) Find(ctx context.Context, organization uuid.UUID, r Ref) (uuid.UUID, error) {
	if id, ok := r.Whole(); ok {
		return id, nil
	}
	if r.Last {
		return s.last(ctx, organization, r.Integration)
	}
	list, err := s.withPrefix(ctx, organization, r)
	switch {
	case err != nil:
		return uuid.Nil, err
	case len(list) == 0:
		return uuid.Nil, &MissingError{"no call begins with " + r.Prefix}
	case len(list) == 1:
		return list[0].CorrelationID, nil
	}
	ambiguous := &AmbiguousError{What: "calls", Prefix: r.Prefix, More: len(list) > maxListed}
	for _, f := range list[:min(len(list), maxListed)] {
		ambiguous.List = append(ambiguous.List, f.line())
	}
	return uuid.Nil, ambiguous
}

// line is a call in a list of several.
func (f Found) line() string {
	words := []string{f.CorrelationID.String(), when.Local(f.StartedAt), cmp.Or(f.IntegrationName, "-")}
	if f.Operation != "" {
		words = append(words, f.Operation)
	}
	if f.Running {
		words = append(words, "running")
	}
	return strings.Join(words, "  ")
}

// withPrefix returns the calls that a reference may mean, the newest first: a few more than
// are listed.
func (s Sources) withPrefix(ctx context.Context, organization uuid.UUID, r Ref) ([]Found, error) {
	found, names := make(map[uuid.UUID]Found), s.Names(ctx, organization)
	if s.Temporal != nil {
		list, err := engine.FindCalls(ctx, s.Temporal, organization, r.Prefix, maxListed+1)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			found[c.CorrelationID] = Found{c.CorrelationID, names[c.IntegrationID], "", c.StartedAt, c.Running}
		}
	}
	if s.DB != nil {
		list, err := runlog.FindCalls(ctx, s.DB, organization, r.Low, r.High, maxListed+1)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			f, ok := found[c.CorrelationID]
			if !ok {
				f = Found{CorrelationID: c.CorrelationID, IntegrationName: names[c.IntegrationID], StartedAt: c.At}
			}
			f.Operation = c.Operation
			found[c.CorrelationID] = f
		}
	}
	var all []Found
	for _, f := range found {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Found) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), strings.Compare(a.CorrelationID.String(), b.CorrelationID.String()))
	})
	return all, nil
}

// last returns the newest call.
func (s Sources) last(ctx context.Context, organization, integration uuid.UUID) (id uuid.UUID, err error) {
	var at time.Time
	if s.Temporal != nil {
		c, err := engine.LastCall(ctx, s.Temporal, organization, integration)
		if err != nil {
			return uuid.Nil, err
		}
		if c != nil {
			id, at = c.CorrelationID, c.StartedAt
		}
	}
	if s.DB != nil {
		c, err := runlog.LastCall(ctx, s.DB, organization, integration)
		if err != nil {
			return uuid.Nil, err
		}
		if c != nil && c.At.After(at) {
			id = c.CorrelationID
		}
	}
	if id == uuid.Nil {
		return id, &MissingError{"no call is known"}
	}
	return id, nil
}
