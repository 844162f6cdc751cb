package statement

import (
	"time"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// State is a state of an entry as people and JSON name it. The record has another name for
// one of them; nothing that is shown takes its name from there.
type State string

// Refused is what the vendor, or we before it was sent, did not take.
const Refused State = "refused"

// StateOf is the name of a state on record.
func StateOf(s exports.EntryState) State {
	if s == exports.Rejected {
		return Refused
	}
	return State(s)
}

// OnRecord is the state as the record has it.
func (s State) OnRecord() exports.EntryState {
	if s == Refused {
		return exports.Rejected
	}
	return exports.EntryState(s)
}

// Counts are the entries of an export by what is known of them.
type Counts struct {
	Total     int `json:"total"`
	Planned   int `json:"planned"`
	Sent      int `json:"sent"`
	Exported  int `json:"exported"`
	Refused   int `json:"refused"`
	Unknown   int `json:"unknown"`
	Open      int `json:"open"`
	Withdrawn int `json:"withdrawn"` // of the refused
}

// OfCounts is the view of counts.
func OfCounts(n runlog.Counts) Counts {
	return Counts{n.Total, n.Planned, n.Sent, n.Exported, n.Rejected, n.Unknown, n.Open, n.Withdrawn}
}

// Problem is an entry that is not exported, or has an error at the vendor.
type Problem struct {
	VoucherID string          `json:"voucherId"`
	EntryID   string          `json:"entryId"`
	State     State           `json:"state"`
	Message   string          `json:"message,omitempty"`
	Effect    classify.Effect `json:"effect,omitempty"`    // of its last sending; "" if it was never sent
	OpenUntil *time.Time      `json:"openUntil,omitempty"` // of an open one: it can take effect until then
}

// OfProblems are the views of problems; never nil.
func OfProblems(list []runlog.Problem) []Problem {
	views := make([]Problem, 0, len(list))
	for _, p := range list {
		views = append(views, Problem{p.VoucherID, p.EntryID, StateOf(p.State), p.Reason, p.Effect, p.OpenUntil})
	}
	return views
}

// Refusal is a voucher that an export would refuse as it is, and why.
type Refusal struct {
	VoucherID string `json:"voucherId"`
	Message   string `json:"message"`
}

// OfRefusals are the views of the vouchers that a preview would refuse; never nil.
func OfRefusals(list []runlog.Problem) []Refusal {
	views := make([]Refusal, 0, len(list))
	for _, p := range list {
		views = append(views, Refusal{p.VoucherID, p.Reason})
	}
	return views
}
