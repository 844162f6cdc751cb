package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/redact"
)

// codeTables are the tables that explain knows, by adapter.
var codeTables = vendors.Tables()

// verdictReport is what explain prints.
type verdictReport struct {
	ErrorClass   classify.Class `json:"errorClass,omitempty"` // of a failure: transient, permanent or timeout
	Class        classify.Class `json:"class"`                // the same, and success; this and retryAfterMs are what scripts of earlier versions read
	Kind         classify.Kind  `json:"kind"`
	Rule         string         `json:"rule"`
	Retry        bool           `json:"retry"`
	RetryAfter   *string        `json:"retryAfter"` // such as "37s"; null if the vendor asks for no wait
	RetryAfterMs *int64         `json:"retryAfterMs"`
	Message      string         `json:"message"`
	Effect       *string        `json:"effect"`            // of a write: done, none or open; null for what is no write
	Ended        bool           `json:"ended,omitempty"`   // of an open effect: the vendor's work has ended, so that asking can close it at once
	Unknown      bool           `json:"unknown,omitempty"` // the effect is open
}

// effects describes the effects of a write.
var effects = map[classify.Effect]string{
	classify.Done: "done: the vendor confirmed it",
	classify.None: "none: nothing was done; it may be sent again",
	classify.Open: "open: ask before it is sent again",
}

// responseOptions are the flags of explain, which describe a response.
type responseOptions struct {
	adapter, op, bodyFile string
	status                int
	headers               []string
}

func (a *app) explain() *cobra.Command {
	var o responseOptions
	names := slices.Sorted(maps.Keys(codeTables))
	c := &cobra.Command{
		Use:   "explain --adapter NAME --status N",
		Short: "Show how a response would be classified, and why; needs no server",
		Example: `  starter explain --adapter dataverse --op write --status 429 --header 'Retry-After: 37'
  starter explain --adapter xledger --op read --status 200 --body-file answer.json -o json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			codes, ok := codeTables[o.adapter]
			if !ok {
				return usage("--adapter %q: want one of %s", o.adapter, strings.Join(names, ", "))
			}
			response, err := o.response(c.InOrStdin())
			if err != nil {
				return err
			}
			return a.printVerdict(c.OutOrStdout(), classify.Response(response, codes))
		},
	}
	f := c.Flags()
	f.StringVar(&o.adapter, "adapter", "", "whose codes apply: "+strings.Join(names, ", "))
	f.StringVar(&o.op, "op", "read", "what the call was: read, write or token")
	f.IntVar(&o.status, "status", 0, "HTTP status of the response")
	f.StringArrayVar(&o.headers, "header", nil, "a response header, 'Name: value'; may be repeated")
	f.StringVar(&o.bodyFile, "body-file", "", "`file` with the response body; - is standard input")
	_ = c.RegisterFlagCompletionFunc("adapter", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("op", cobra.FixedCompletions([]string{"read", "write", "token"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// response is the response that the flags describe.
func (o *responseOptions) response(stdin io.Reader) (r classify.HTTPResponse, err error) {
	r = classify.HTTPResponse{Op: classify.Op(o.op), Status: o.status, Header: http.Header{}, Received: time.Now()}
	if !slices.Contains([]classify.Op{classify.Read, classify.Write, classify.Token}, r.Op) {
		return r, usage("--op %q: want read, write or token", o.op)
	}
	if o.status < 100 || o.status > 999 {
		return r, usage("--status %d: want an HTTP status, 100 to 999", o.status)
	}
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return r, usage("--header %q: want 'Name: value'", h)
		}
		r.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	r.Body, r.Truncated, err = readAnswer(o.bodyFile, stdin)
	return r, err
}

// readAnswer reads as much of a body as the client would.
func readAnswer(name string, stdin io.Reader) (body []byte, truncated bool, err error) {
	if name == "" {
		return nil, false, nil
	}
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, false, usage("--body-file: %w; want a file that this user can read, or - for standard input", err)
		}
		defer f.Close()
		in = f
	}
	body, err = io.ReadAll(io.LimitReader(in, adapters.MaxAnswer+1))
	if err != nil {
		return nil, false, usage("--body-file: %w; want a file that this user can read, or - for standard input", err)
	}
	return body[:min(len(body), adapters.MaxAnswer)], len(body) > adapters.MaxAnswer, nil
}

func (a *app) printVerdict(out io.Writer, v classify.Verdict) error {
	e := verdictReport{Class: v.Class, Kind: v.Kind, Rule: v.Rule, Retry: v.Retry(), Message: redact.Text(v.Message), Ended: v.Ended, Unknown: v.Effect == classify.Open}
	if v.Effect != "" {
		effect := string(v.Effect)
		e.Effect = &effect
	}
	if v.RetryAfter > 0 {
		e.RetryAfter, e.RetryAfterMs = new(v.RetryAfter.String()), new(v.RetryAfter.Milliseconds())
	}
	if v.Class != classify.Success {
		e.ErrorClass = v.Class
	}
	if a.output == outputJSON {
		return printJSON(out, e)
	}
	wait := "-"
	if e.RetryAfter != nil {
		wait = *e.RetryAfter
	}
	rows := [][]string{
		{"class", string(e.Class)}, {"kind", string(e.Kind)}, {"rule", e.Rule}, {"retry", fmt.Sprint(e.Retry)},
		{"retry after", wait}, {"message", dash(e.Message)},
	}
	if v.Effect != "" {
		effect := effects[v.Effect]
		if v.Ended {
			effect += "; the vendor's work has ended"
		}
		rows = append(rows, []string{"effect", effect})
	}
	return table(out, rows)
}

func (a *app) redact() *cobra.Command {
	return &cobra.Command{
		Use:     "redact",
		Short:   "Print standard input as it would be stored; needs no server",
		Example: "  starter redact < error.txt",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 1<<20))
			if err != nil {
				return err
			}
			return say(c.OutOrStdout(), "%s", redact.Text(string(text)))
		},
	}
}
