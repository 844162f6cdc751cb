package console

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/runlog"
)

// problem is why a request was not served: a page says it in the reader's words, and a
// program gets it as RFC 9457 says.
type problem struct {
	Status int    `json:"status"`
	Type   string `json:"type"`             // "urn:ledgerline:problem:" and a name of the table of words
	Title  string `json:"title"`            // what happened
	Detail string `json:"detail,omitempty"` // to what, and what to do
	Lines  []line `json:"lines,omitempty"`  // each thing that is wrong, with its place

	name  string
	pairs []any
	cause error // for the log
}

// line is one thing of several that are wrong.
type line struct {
	Where string `json:"where,omitempty"`
	What  string `json:"what"`
}

const problemType = "urn:ledgerline:problem:"

func (p *problem) Error() string { return p.name }

func (p *problem) Unwrap() error { return p.cause }

// refuse is a problem with a name of the table of words.
func refuse(status int, name string, pairs ...any) *problem {
	return &problem{Status: status, Type: problemType + name, name: name, pairs: pairs}
}

// because adds why, for the log.
func (p *problem) because(err error) *problem {
	p.cause = err
	return p
}

// detailed adds what the program says, which is in English.
func (p *problem) detailed(text string) *problem {
	p.Detail = text
	return p
}

// notFound is also the answer about what somebody may not see: that it exists is not said.
func notFound() *problem { return refuse(http.StatusNotFound, "not_found") }

// problemOf is what an error means to a reader.
func problemOf(err error) *problem {
	var p *problem
	var source *runlog.SourceError
	var who *signin.Error
	var unknown *runlog.UnknownOrganizationError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &who):
		return refuse(who.Status(), "sign_in_"+string(who.Reason)).because(err)
	case errors.As(err, &unknown):
		return notFound()
	case errors.As(err, &source):
		return refuse(http.StatusServiceUnavailable, "source_unavailable").because(err)
	case runlog.IsTransient(err):
		return refuse(http.StatusServiceUnavailable, "record_unavailable").because(err)
	}
	return refuse(http.StatusInternalServerError, "unexpected").because(err)
}

// said is the problem in a language.
func (p *problem) said(in *words.Printer) problem {
	said := *p
	said.Title = words.Capital(in.T("problem."+p.name, p.pairs...))
	if said.Detail == "" {
		said.Detail = in.T("problem."+p.name+".detail", p.pairs...)
	}
	return said
}

// writeProblem writes a problem for a program.
func writeProblem(w http.ResponseWriter, p problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// logged is why a request failed, without secrets.
func (p *problem) logged() string {
	if p.cause == nil {
		return ""
	}
	return environ.RootCause(p.cause)
}
