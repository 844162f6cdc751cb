package odata

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// Standing is what came of a request that asks about the contract.
type Standing string

// The standings.
const (
	Answered Standing = "answered" // the answer can be read
	Denied   Standing = "denied"   // the vendor refuses it to who asks
	Absent   Standing = "absent"   // the vendor has no such thing
	Unclear  Standing = "unclear"  // the vendor does not take the request
	Failed   Standing = "failed"   // the vendor could not be asked, or the answer proves nothing
)

// standingOf reads the verdict on a request that asks about the contract. 403
// with a code that means a server error is a refusal too: Business Central gives
// Internal_ServerError for a permission that is missing (docs/vendors.md#businesscentral-missing-permissions).
func standingOf(v classify.Verdict) Standing {
	switch v.Kind {
	case classify.OK:
		return Answered
	case classify.Unauthorized, classify.Forbidden:
		return Denied
	case classify.ServerError:
		if v.HTTPStatus == http.StatusUnauthorized || v.HTTPStatus == http.StatusForbidden {
			return Denied
		}
	case classify.NotFound:
		return Absent
	case classify.BadRequest, classify.Unprocessable, classify.Business, classify.ClientError, classify.Conflict,
		classify.Duplicate, classify.Unsupported, classify.PayloadTooLarge:
		return Unclear
	}
	return Failed
}

// VendorMessage is what the vendor said, for [adapters.Check.Found]: neither masked nor cut.
func VendorMessage(v classify.Verdict) string {
	if v.HTTPStatus == 0 {
		return v.Message
	}
	return strings.TrimSuffix(fmt.Sprintf("HTTP %d: %s", v.HTTPStatus, v.Message), ": ")
}

// VerifyOK is the verdict of a verification that came to its end.
func VerifyOK() classify.Verdict {
	return classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "verify:asked"}
}

// RunSteps makes the steps of a verification, each of which adds to the contract and
// says whether the next one makes sense. If the vendor could not be asked there is no
// contract: half of one would be taken for the whole.
func RunSteps(ctx context.Context, contract *adapters.Contract, steps ...func(context.Context) (more bool, v classify.Verdict)) (adapters.Contract, classify.Verdict) {
	for _, step := range steps {
		more, v := step(ctx)
		if v.Class != classify.Success {
			return adapters.Contract{}, v
		}
		if !more {
			break
		}
	}
	return *contract, VerifyOK()
}

// Query makes a GET request about the contract.
func (s Sender) Query(ctx context.Context, c *adapters.Conn, h http.Header, path string) (adapters.Answer, Standing, classify.Verdict) {
	a, v := s.Send(ctx, c, classify.Read, http.MethodGet, path, h, nil)
	v = adapters.LookupVerdict(v)
	return a, standingOf(v), v
}

// Open checks the token: whether there is one, and whether the vendor takes it for
// a first request. If ok is false the verification ends, with the verdict v.
// remedy says what to do if the vendor refuses a token that Entra has issued.
func (s Sender) Open(ctx context.Context, c *adapters.Conn, contract *adapters.Contract, h http.Header, path, remedy string) (body []byte, v classify.Verdict, ok bool) {
	_, _, v = s.Tokens.Token(ctx, c, s.Scope(c.BaseURL))
	switch standingOf(v) {
	case Answered:
	case Failed:
		return nil, v.WithEffect("", false), false
	default:
		contract.Refuse(v, "token", VendorMessage(v),
			"check the settings tenantId and clientId and the credential clientSecret: Entra ID issues no token for them")
		return nil, VerifyOK(), false
	}
	a, standing, v := s.Query(ctx, c, h, path)
	switch standing {
	case Answered:
		contract.Add("token", adapters.Checked, "accepted", "")
		return a.Body, v, true
	case Denied:
		contract.Refuse(v, "token", VendorMessage(v), remedy)
		return nil, VerifyOK(), false
	case Absent:
		contract.Refuse(v, "address", VendorMessage(v), "check the integration's baseURL: nothing answers "+path+" there")
		return nil, VerifyOK(), false
	}
	return nil, v, false
}

// Sample makes the request of a look-up for one value, which no record is expected
// to have. ignored says that records came back that have another one: the filter
// was passed over.
func (s Sender) Sample(ctx context.Context, c *adapters.Conn, h http.Header, path, column, selected, value string) (ignored bool, standing Standing, v classify.Verdict) {
	a, standing, v := s.Query(ctx, c, h, LookupRequests(path, column, selected, [][]string{{value}})[0].Path)
	if standing != Answered {
		return false, standing, v
	}
	var p page // the first will do, and it can be the first of many
	if json.Unmarshal(adapters.JSON(a.Body), &p) != nil || p.Value == nil {
		return false, Failed, Untrusted("the look-up's answer is not a list of records")
	}
	for _, r := range *p.Value {
		if !strings.EqualFold(strings.Trim(r.Text(column), " "), value) {
			return true, Answered, v
		}
	}
	if p.Count != nil && string(*p.Count) != "0" && len(*p.Value) == 0 {
		return false, Failed, Untrusted(fmt.Sprintf("the look-up's answer has no records and says that there are %s", *p.Count))
	}
	return false, Answered, v
}
