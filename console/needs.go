package console

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/attention"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// attentionList is what needs a person.
type attentionList struct {
	Open         []need `json:"open"`
	Waiting      []need `json:"waiting"` // nobody has to do anything now: it passes by itself, or another kind takes its place
	Acknowledged []need `json:"acknowledged"`
}

// passes reports whether nobody has to do anything about a thing now.
func passes(i attention.Item) bool { return i.Kind == attention.InFlight || i.Kind == attention.Late }

// need is one thing that needs a person.
type need struct {
	Key            string         `json:"key"`
	Kind           attention.Kind `json:"kind"`
	Title          string         `json:"title"`
	Meaning        string         `json:"meaning"`
	Todo           string         `json:"todo"`
	Since          time.Time      `json:"since"`
	Integration    string         `json:"integration,omitempty"`
	Vendor         string         `json:"vendor,omitempty"`
	Period         string         `json:"period,omitempty"`
	ExportID       *uuid.UUID     `json:"exportId,omitempty"`
	CorrelationID  *uuid.UUID     `json:"correlationId,omitempty"`
	Count          *exports.Count `json:"count,omitempty"`
	Until          *time.Time     `json:"until,omitempty"`
	ScheduledAt    *time.Time     `json:"scheduledAt,omitempty"`
	ErrorKind      classify.Kind  `json:"errorKind,omitempty"`
	Quote          string         `json:"quote,omitempty"` // what the vendor or the program said
	AcknowledgedBy string         `json:"acknowledgedBy,omitempty"`
	AcknowledgedAt *time.Time     `json:"acknowledgedAt,omitempty"`
	Note           string         `json:"note,omitempty"`

	With    string `json:"with,omitempty"`    // the period with which the entries went
	Channel string `json:"channel,omitempty"` // of a notification
	Actor   string `json:"actor,omitempty"`   // who paused it, or made the call
}

// needs are the things that need a person now, and which of them somebody has acknowledged.
// With ask, Temporal is asked too: it knows at once of what the record learns later.
func (r *request) needs(ask bool) ([]attention.Item, map[string]runlog.Acknowledgement, error) {
	sources := attention.Sources{DB: r.db()}
	if ask {
		sources.Temporal = r.c.Temporal
	}
	items, err := attention.List(r.Context(), sources, r.org.ID, r.now)
	if err != nil {
		return nil, nil, err
	}
	acknowledged, err := runlog.ListAcknowledgements(r.Context(), r.db(), r.org.ID)
	return items, acknowledged, err
}

func (r *request) attention() (any, error) {
	items, acknowledged, err := r.needs(!r.streams())
	if err != nil {
		return nil, err
	}
	list := attentionList{Open: []need{}, Waiting: []need{}, Acknowledged: []need{}}
	for _, i := range items {
		n := r.needOf(i)
		if a, ok := acknowledged[i.Key]; ok {
			n.AcknowledgedBy, n.AcknowledgedAt, n.Note = a.Actor, &a.At, a.Note
			list.Acknowledged = append(list.Acknowledged, n)
			continue
		}
		if passes(i) {
			list.Waiting = append(list.Waiting, n)
			continue
		}
		list.Open = append(list.Open, n)
	}
	return list, nil
}

func (r *request) needOf(i attention.Item) need {
	kind := string(i.Kind)
	if i.Kind == attention.Unknown && i.CorrelationID != nil {
		kind = "unknown_call"
	}
	title, meaning, todo := r.said.Need(kind, i.Adapter)
	n := need{
		Key: i.Key, Kind: i.Kind, Since: i.Since, Integration: i.Integration, Vendor: r.said.Vendor(i.Adapter), Period: i.Period, ExportID: i.ExportID, CorrelationID: i.CorrelationID,
		Until: i.Until, ScheduledAt: i.ScheduledAt, ErrorKind: i.ErrorKind, Quote: i.Message, With: i.With, Channel: i.Channel, Actor: i.Actor,
		Title: title, Meaning: meaning, Todo: todo,
	}
	if i.Count.Entries > 0 {
		n.Count = &i.Count
	}
	if i.ErrorKind != "" && i.Kind != attention.Notification {
		what, remedy := r.said.KindAt(i.ErrorKind, i.Adapter)
		n.Meaning += " " + what
		if remedy != "" && slices.Contains(byCause, i.Kind) {
			n.Todo = remedy
		}
	}
	return n
}

// byCause are the kinds of which the error that causes them says what to do.
var byCause = []attention.Kind{attention.Incident, attention.Credential, attention.Overdue}

type acknowledgeInput struct {
	Item string `json:"item"` // its key
	Note string `json:"note"`
}

// acknowledged is that somebody has seen a thing.
type acknowledged struct {
	Item string    `json:"item"`
	Note string    `json:"note"`
	By   string    `json:"acknowledgedBy"`
	At   time.Time `json:"acknowledgedAt"`
}

// acknowledge puts on record that somebody has seen a thing and takes care of it. It is there
// until its cause ends.
func (r *request) acknowledge(in acknowledgeInput) (*done, error) {
	note, err := reasonFor(in.Note)
	if err != nil {
		return nil, err
	}
	items, seen, err := r.needs(true)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(items, func(i attention.Item) bool { return i.Key == in.Item })
	if i < 0 {
		return nil, refuse(http.StatusNotFound, "no_longer_there")
	}
	if a, ok := seen[in.Item]; ok {
		return nil, refuse(http.StatusConflict, "acknowledged", "by", plain.Line(a.Actor))
	}
	a := runlog.Acknowledgement{Key: in.Item, Note: note, Actor: r.who.Actor(), At: r.now}
	earlier, err := runlog.AcknowledgeFirst(r.Context(), r.db(), r.org.ID, a)
	if err != nil {
		return nil, err
	}
	if earlier != nil {
		return nil, refuse(http.StatusConflict, "acknowledged", "by", plain.Line(earlier.Actor))
	}
	result := acknowledged{a.Key, a.Note, a.Actor, a.At}
	return &done{Target: "/attention", Before: items[i], After: result, Result: result}, nil
}
