package engine

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/workflows"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
)

// memoSum is the memo's field with the sum of what was asked.
const memoSum = "requestSha256"

// SumOf identifies what an invocation asks, to tell whether a correlation ID is
// used again for something else. Blanks between the members of a body do not count.
func SumOf(in activities.Invocation) string {
	if body, err := json.Marshal(in.Body); err == nil && len(in.Body) > 0 { // as it travels
		in.Body = body
	}
	return workflows.SumOfArrived(in)
}

// SumInMemo returns the [SumOf] that an invocation was started with.
func SumInMemo(d *workflowservice.DescribeWorkflowExecutionResponse) (string, bool) {
	var sum string
	p, ok := d.GetWorkflowExecutionInfo().GetMemo().GetFields()[memoSum]
	if !ok || converter.GetDefaultDataConverter().FromPayload(p, &sum) != nil {
		return "", false
	}
	return sum, true
}

// Describe returns the one-line summary of an invocation for the Temporal UI,
// without any of its data.
func Describe(in activities.Invocation) string {
	summary, _ := DescribeRequest(in)
	return summary
}

// DescribeRequest is [Describe], and whether the adapter knows that the request changes
// nothing.
func DescribeRequest(in activities.Invocation) (summary string, readOnly bool) {
	adapter, ok := activities.Adapters()[in.AdapterName]
	if !ok {
		return string(in.Operation), false
	}
	plan, err := adapter.Describe(in.Operation, in.Body)
	if err != nil {
		return string(in.Operation) + " (malformed request)", false
	}
	return strings.Map(func(r rune) rune { // which an invocation's summary cannot hold
		if activities.CheckLine("", string(r), utf8.UTFMax) != nil {
			return -1
		}
		return r
	}, plan.Summary), plan.Guard == adapters.ReadOnly
}
