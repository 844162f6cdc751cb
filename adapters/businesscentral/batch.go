package businesscentral

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/odata"
)

// render writes a batch as JSON. IDs are the parts' positions: answers may
// leave them out, so they are matched by position.
func render(r odata.Request) []byte {
	type operation struct {
		ID      string            `json:"id"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers,omitempty"`
		Body    json.RawMessage   `json:"body,omitempty"`
	}
	ops := make([]operation, len(r.Requests))
	for i, p := range r.Requests {
		ops[i] = operation{ID: fmt.Sprint(i), Method: p.Method, URL: p.Path, Headers: map[string]string{}, Body: p.Body}
		for k, v := range p.Headers {
			ops[i].Headers[k] = v
		}
		if len(p.Body) > 0 {
			ops[i].Headers["Content-Type"] = "application/json"
		}
	}
	body, _ := json.Marshal(map[string]any{"requests": ops}) // strings and valid JSON: cannot fail
	return body
}

// parts returns the bodies in a batch's answer in the order of its n requests:
// by ID where there is one, else by position. A part without a body is nil.
func parts(answer []byte, n int) ([]json.RawMessage, error) {
	var a struct {
		Responses []struct {
			ID   json.RawMessage `json:"id"`
			Body json.RawMessage `json:"body"`
		} `json:"responses"`
	}
	if json.Unmarshal(adapters.JSON(answer), &a) != nil {
		return nil, errors.New(`the answer to a batch has another shape than {"responses": […]}`)
	}
	out := make([]json.RawMessage, n)
	for i, r := range a.Responses {
		var id string
		if json.Unmarshal(r.ID, &id) == nil {
			if named, err := strconv.Atoi(id); err == nil {
				i = named
			}
		}
		if i < 0 || i >= n {
			return nil, errors.New("the answer to a batch has a part that was not asked for")
		}
		var text string
		if json.Unmarshal(r.Body, &text) == nil && text != "" { // a body may come as encoded text
			r.Body = json.RawMessage(text)
		}
		out[i] = r.Body
	}
	return out, nil
}
