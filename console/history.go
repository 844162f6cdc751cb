package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/runlog"
)

const historyOnPage = 50

// history is what people did in the console, the newest first.
type history struct {
	Actions []historyRow `json:"actions"`
	Next    string       `json:"next,omitempty"`
}

// historyRow is something that somebody did.
type historyRow struct {
	ID      uuid.UUID       `json:"actionId"`
	At      time.Time       `json:"at"`
	EndedAt *time.Time      `json:"endedAt,omitempty"` // nil: it is under way, or the console ended meanwhile
	Actor   string          `json:"actor"`
	Action  string          `json:"action"`
	Target  string          `json:"target"`
	Status  int             `json:"status,omitempty"`
	Problem string          `json:"problem,omitempty"` // why it was not done, in the reader's language
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
}

func (r *request) history() (any, error) {
	var cursor *runlog.ActionCursor
	if text := r.URL.Query().Get("after"); text != "" {
		cursor = new(runlog.ActionCursor)
		if err := decodeCursor(text, cursor); err != nil {
			return nil, err
		}
	}
	list, next, err := runlog.ListConsoleActions(r.Context(), r.db(), r.org.ID, cursor, historyOnPage)
	if err != nil {
		return nil, err
	}
	h := history{Actions: []historyRow{}}
	for _, a := range list {
		h.Actions = append(h.Actions, historyRow{a.ID, a.At, a.EndedAt, a.Actor, a.Action, a.Target, a.Status, r.problemOn(a), a.Before, a.After})
	}
	if next != nil {
		h.Next = encodeCursor(next)
	}
	return h, nil
}

// problemOn is why an action was not done; "" if it was.
func (r *request) problemOn(a runlog.ConsoleAction) string {
	var e ended
	if a.Status < http.StatusBadRequest || json.Unmarshal(a.Response, &e) != nil || !words.Known("problem."+e.Name) {
		return ""
	}
	return refuse(a.Status, e.Name, e.pairs()...).said(r.said).Title
}

// encodeCursor is a position in a list as an address has it.
func encodeCursor(v any) string { return base64.RawURLEncoding.EncodeToString(asJSON(v)) }

func decodeCursor(text string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "parameter", "name", "after")
	}
	return nil
}

func writeCursor(c runlog.AttemptCursor) string { return encodeCursor(c) }

func readCursor(text string) (c runlog.AttemptCursor, err error) {
	if text != "" {
		err = decodeCursor(text, &c)
	}
	return c, err
}
