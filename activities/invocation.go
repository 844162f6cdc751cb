package activities

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/redact"
)

// Invocation identifies one adapter operation and says what is requested. It is
// the workflow's input, so it must never hold a secret.
type Invocation struct {
	OrganizationID  uuid.UUID          `json:"organizationId"`
	IntegrationID   uuid.UUID          `json:"integrationId"`
	IntegrationName string             `json:"integrationName,omitempty"` // for people
	AdapterName     string             `json:"adapterName"`
	CorrelationID   uuid.UUID          `json:"correlationId"` // v4
	Operation       adapters.Operation `json:"operation"`
	Body            json.RawMessage    `json:"body,omitempty"`
	Policy          classify.Policy    `json:"policy"`
	Summary         string             `json:"summary,omitempty"` // one line for the Temporal UI, without data

	// OwnQueue says that the integration had a rate or a concurrency limit
	// when the invocation started: attempts go through [OwnQueue].
	OwnQueue bool           `json:"ownQueue,omitempty"`
	Purpose  limits.Purpose `json:"purpose,omitempty"` // "" for a caller's or a run's work

	Actor string `json:"actor,omitempty"` // who requested it; "" for runs and monitors
	// Idempotent is the caller's word that a repeat of the request has no further
	// effect, so that it may be sent again after any transient failure.
	Idempotent bool `json:"idempotent,omitempty"`
	// ReadOnly says that the request changes nothing, so that an attempt that was
	// lost leaves nothing open.
	ReadOnly bool `json:"readOnly,omitempty"`

	// Repeats is the call that this one makes again, the first of them if there were several,
	// and Repeat is its number among those, from 1. nil and 0 of all others.
	Repeats *uuid.UUID `json:"repeats,omitempty"`
	Repeat  int        `json:"repeat,omitempty"`
}

// Validate says why an invocation cannot be made, all of it at once. It is pure:
// workflows call it before anything else.
func (in Invocation) Validate() error {
	errs := []error{
		CheckTarget(in.OrganizationID, in.IntegrationID), checkPurpose(in.Purpose),
		CheckLine("integrationName", in.IntegrationName, maxSummary), CheckLine("summary", in.Summary, maxSummary), CheckLine("actor", in.Actor, maxActor),
	}
	if in.CorrelationID.Version() != 4 || in.CorrelationID.Variant() != uuid.RFC4122 {
		errs = append(errs, fmt.Errorf("correlationId: %s; want a random UUID (version 4)", in.CorrelationID))
	}
	if _, ok := vendors.Lookup(in.AdapterName); !ok {
		errs = append(errs, fmt.Errorf("adapterName: %q; want one of %s", redact.Text(in.AdapterName), strings.Join(vendors.Names(), ", ")))
	}
	if !slices.Contains([]adapters.Operation{adapters.Ping, adapters.Call, adapters.Export, adapters.Lookup, adapters.Verify}, in.Operation) {
		errs = append(errs, fmt.Errorf("operation: %q; want ping or call", redact.Text(string(in.Operation))))
	}
	if err := in.Policy.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("policy: %w", err))
	}
	return errors.Join(errs...)
}

// ChangesNothing reports whether an invocation can have no effect, so that an attempt
// that was lost leaves nothing open.
func (in Invocation) ChangesNothing() bool {
	return in.ReadOnly || in.Operation == adapters.Ping || in.Operation == adapters.Lookup
}

// CallResult is a successful attempt.
type CallResult struct {
	Response Answer `json:"response"`
	Trail    Trail  `json:"trail"`          // the last entry is the success
	Left     int    `json:"left,omitempty"` // of a chunk that was only looked up: entries that are not at the vendor
}

// maxResult is the largest encoded [CallResult], in bytes. Temporal takes 2 MB; a
// larger result would be refused after the vendor has acted.
const maxResult = 1_900_000

// fit leaves the body of a result out if it is too large once it is encoded, and
// says so: a success stays a success.
func (r CallResult) fit() CallResult {
	encoded, err := json.Marshal(r)
	if err == nil && len(encoded) <= maxResult {
		return r
	}
	r.Response.Omitted = adapters.Omit(r.Response.Body, adapters.TooLarge)
	r.Response.Body = nil
	return r
}

// Answer is the vendor's answer as callers see it.
type Answer struct {
	HTTPStatus int             `json:"httpStatus"`
	Body       json.RawMessage `json:"body,omitempty"`
	ReadBack   bool            `json:"readBack,omitempty"` // an earlier attempt had taken effect; nothing was sent again

	Omitted *adapters.Omission `json:"omitted,omitempty"` // the body was not passed on, and why
}

// margin is how long before the server's deadline a call is cut off, so that
// the worker is still there to report: an error that is returned less than
// about 30 ms before the deadline is lost, by measurement.
func margin(attempt time.Duration) time.Duration {
	return min(max(attempt/20, 50*time.Millisecond), 500*time.Millisecond)
}
