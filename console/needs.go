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
	Acknowledged []need `json:"acknowledged"`
}

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
}

// needs are the things that need a person now, and which of them somebody has acknowledged.
func (r *request) needs() ([]attention.Item, map[string]runlog.Acknowledgement, error) {
	items, err := attention.List(r.Context(), attention.Sources{DB: r.db()}, r.org.ID, r.now)
	if err != nil {
		return nil, nil, err
	}
	acknowledged, err := runlog.ListAcknowledgements(r.Context(), r.db(), r.org.ID)
	return items, acknowledged, err
}

func (r *request) attention() (any, error) {
	items, acknowledged, err := r.needs()
	if err != nil {
		return nil, err
	}
	list := attentionList{Open: []need{}, Acknowledged: []need{}}
	for _, i := range items {
		n := r.needOf(i)
		if a, ok := acknowledged[i.Key]; ok {
			n.AcknowledgedBy, n.AcknowledgedAt, n.Note = a.Actor, &a.At, a.Note
			list.Acknowledged = append(list.Acknowledged, n)
			continue
		}
		list.Open = append(list.Open, n)
	}
	return list, nil
}

func (r *request) needOf(i attention.Item) need {
	title, meaning, todo := r.said.Need(string(i.Kind), i.Adapter)
	n := need{
		Key: i.Key, Kind: i.Kind, Since: i.Since, Integration: i.Integration, Vendor: r.said.Vendor(i.Adapter), Period: i.Period, ExportID: i.ExportID, CorrelationID: i.CorrelationID,
		Until: i.Until, ScheduledAt: i.ScheduledAt, ErrorKind: i.ErrorKind, Quote: i.Message,
		Title: title, Meaning: meaning, Todo: todo,
	}
	if i.Count.Entries > 0 {
		n.Count = &i.Count
	}
	if i.ErrorKind != "" {
		what, remedy := r.said.KindAt(i.ErrorKind, i.Adapter)
		n.Meaning += " " + what
		if remedy != "" {
			n.Todo = remedy
		}
	}
	return n
}

type acknowledgeInput struct {
	Item string `json:"item"` // its key
	Note string `json:"note"`
}

// acknowledge puts on record that somebody has seen a thing and takes care of it. It is there
// until its cause ends.
func (r *request) acknowledge(in acknowledgeInput) (*done, error) {
	note, err := reasonFor(in.Note)
	if err != nil {
		return nil, err
	}
	items, acknowledged, err := r.needs()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(items, func(i attention.Item) bool { return i.Key == in.Item })
	if i < 0 {
		return nil, refuse(http.StatusNotFound, "no_longer_there")
	}
	if a, ok := acknowledged[in.Item]; ok {
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
	return &done{Target: "/attention", Before: items[i], After: a, Result: a}, nil
}
