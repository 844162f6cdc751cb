package sandbox

import (
	_ "embed"
	"encoding/json"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/internal/sandbox/graphql"
)

//go:embed xledger.graphql
var xledgerSchema string

var (
	decimal = regexp.MustCompile(`^[+-]?\d+(\.\d+)?$`)
	numeral = regexp.MustCompile(`^-?\d+(\.\d+)?([eE][+-]?\d{1,2})?$`) // as JSON and GraphQL write numbers, of a size to reckon with
	integer = regexp.MustCompile(`^\d+$`)
)

// xledgerScalars are the scalars of the schema.
var xledgerScalars = map[string]graphql.Scalar{
	// Public clients write amounts as texts and as numbers (docs/vendors.md#xledger-api).
	"DecimalString": func(v any) bool {
		if n, ok := v.(json.Number); ok {
			return numeral.MatchString(n.String())
		}
		return decimal.MatchString(textOf(v))
	},
	"IntegerString": func(v any) bool { return integer.MatchString(textOf(v)) },
	"DateString":    isTime(time.DateOnly),
	"LocalDateTime": isTime(vendorTime),
}

func isTime(layout string) graphql.Scalar {
	return func(v any) bool {
		s, ok := v.(string)
		_, err := time.Parse(layout, s)
		return ok && err == nil
	}
}

// textOf returns a text or a number as text, "" of anything else.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// graphQLCall is a request to the GraphQL API, as it was read when it came.
type graphQLCall struct {
	operation *graphql.Operation
	malformed error           // it is no GraphQL request, and there is no operation
	fields    []graphql.Field // the root fields, as far as they can be read
}

func (s *Sandbox) ask(body []byte) *graphQLCall {
	r, err := graphql.Parse(body)
	if err != nil {
		return &graphQLCall{malformed: err}
	}
	o := s.schema.Prepare(r)
	return &graphQLCall{operation: o, fields: o.Fields()}
}

// The media types of GraphQL answers. Without Accept, or if everything is
// accepted, the server may choose ("Accept"): Xledger is known to answer as JSON,
// and errors with 200.
const (
	typeJSON    = "application/json"
	typeGraphQL = "application/graphql-response+json"
)

// answerType returns the media type to answer with: of those that are accepted
// the first one of the highest weight; "" if none is.
func answerType(h http.Header) string {
	accept := strings.Join(h.Values("Accept"), ",")
	if accept == "" {
		return typeJSON
	}
	best, weight := "", 0.0
	for part := range strings.SplitSeq(accept, ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if given, ok := params["q"]; ok {
			q, _ = strconv.ParseFloat(given, 64)
		}
		if t == "*/*" || t == "application/*" {
			t = typeJSON
		}
		if q > weight && (t == typeJSON || t == typeGraphQL) {
			best, weight = t, q
		}
	}
	return best
}

// graphQL answers a request by the statuses of GraphQL over HTTP ("Status
// Codes"; working draft, github.com/graphql/graphql-over-http): 400 for what is
// no GraphQL request, and otherwise 200 for application/json, whatever errors
// there are. For application/graphql-response+json it is 400 without data.
func (c *call) graphQL(resolve graphql.Resolve) {
	as := answerType(c.Header)
	refuse := func(status int, errs ...*graphql.Error) {
		c.json(status, map[string]any{"errors": errs})
	}
	sent, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	switch {
	case as == "":
		as = typeJSON
		refuse(http.StatusNotAcceptable, &graphql.Error{Message: "Not acceptable"})
	case c.Header.Get("Content-Type") != "" && (err != nil || sent != typeJSON): // without one, JSON is assumed ("POST")
		refuse(http.StatusUnsupportedMediaType, &graphql.Error{Message: "Unsupported media type; want " + typeJSON})
	case c.asked.malformed != nil:
		refuse(http.StatusBadRequest, &graphql.Error{Message: "Invalid JSON: " + c.asked.malformed.Error()})
	case len(c.asked.operation.Errors) > 0 && as == typeGraphQL:
		refuse(http.StatusBadRequest, asXledger(c.asked.operation.Errors)...)
	case len(c.asked.operation.Errors) > 0:
		refuse(http.StatusOK, asXledger(c.asked.operation.Errors)...)
	default:
		c.json(http.StatusOK, c.asked.operation.Execute(resolve))
	}
	if as == typeGraphQL {
		c.answer.header.Set("Content-Type", typeGraphQL+"; charset=utf-8")
	}
}

// validationCodes are the codes in the extensions of request errors. Those of a
// document and of variables are graphql-dotnet's (docs/vendors.md#effects).
var validationCodes = map[graphql.Stage]string{graphql.Validation: "ARGUMENTS_OF_CORRECT_TYPE", graphql.Variables: "INVALID_VALUE"}

// asXledger gives request errors as Xledger does: with its codes, and names in
// backquotes.
func asXledger(errs []*graphql.Error) []*graphql.Error {
	out := make([]*graphql.Error, len(errs))
	for i, e := range errs {
		one := *e
		one.Message = strings.TrimSuffix(strings.ReplaceAll(one.Message, `"`, "`"), ".")
		if code := validationCodes[e.Stage]; code != "" {
			one.Extensions = map[string]any{"code": code}
		}
		out[i] = &one
	}
	return out
}
