package classify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Dialect is how a vendor reports an error in a body.
type Dialect string

// The dialects.
const (
	GraphQL Dialect = "graphql" // {"data": …, "errors": [{"message", "code"?, "extensions"?}]}
	OData   Dialect = "odata"   // {"error": {"code", "message"}}, batches
	OAuth   Dialect = "oauth"   // {"error": "invalid_client", "error_description": "…"}
)

// Table is what an adapter knows of its vendor's error codes.
type Table struct {
	Name    string
	Dialect Dialect
	Codes   map[string]Rule // by [CanonicalCode]
}

// Rule is what a vendor's code means.
type Rule struct {
	Kind Kind
	Wait time.Duration // the vendor's documented wait, where its answer names none

	// Effect is [None] where the code proves of a whole request that nothing was
	// done, and "" where it proves nothing. Whoever sets it cites why.
	Effect Effect
	// Unrouted is true where the code says that the request found nowhere to go:
	// then Effect holds for a part of a batch too.
	Unrouted bool
	// GaveUp is true where the code says that the vendor gave up waiting for its
	// own work, which may go on.
	GaveUp bool
}

// lookup finds the rule of a code as the vendor wrote it.
func (t Table) lookup(code string) (rule Rule, canonical string, ok bool) {
	if code == "" {
		return Rule{}, "", false
	}
	canonical = CanonicalCode(code)
	rule, ok = t.Codes[canonical]
	return rule, canonical, ok
}

// lookupRaw is lookup of a JSON value. Most codes are plain words that stand in
// the table as they are, or not at all; those cost no allocation.
func (t Table) lookupRaw(value json.RawMessage) (rule Rule, canonical string, ok bool) {
	if len(value) > 2 && value[0] == '"' && (value[1] >= 'A' && value[1] <= 'Z') && bytes.IndexByte(value, '\\') < 0 {
		word := bytes.TrimSpace(value[1 : len(value)-1])
		if rule, ok = t.Codes[string(word)]; !ok {
			return Rule{}, "", false
		}
		return rule, string(word), true
	}
	return t.lookup(text(value))
}

// CanonicalCode is the form in which codes stand in a [Table]: without blanks,
// and an HRESULT as 0x and eight lower-case hex digits however it came.
// Dataverse writes hex in the Web API and signed decimal in its SDK
// (docs/vendors.md#dataverse-codes); both name the same error.
func CanonicalCode(code string) string {
	code = strings.TrimSpace(code)
	if len(code) >= 2 && (code[:2] == "0x" || code[:2] == "0X") {
		if n, err := strconv.ParseUint(code[2:], 16, 32); err == nil {
			return hresult(uint32(n))
		}
	}
	// Only a number with the failure bit is an HRESULT; others stay as they are.
	if n, err := strconv.ParseInt(code, 10, 64); err == nil {
		if n < 0 && n >= -1<<31 || n >= 1<<31 && n < 1<<32 {
			return hresult(uint32(n))
		}
	}
	return code
}

func hresult(n uint32) string { return fmt.Sprintf("0x%08x", n) }
