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

// explained is a verdict for people and programs.
type explained struct {
	Class        classify.Class `json:"class"`
	Kind         classify.Kind  `json:"kind"`
	Rule         string         `json:"rule"`
	Retry        bool           `json:"retry"`
	RetryAfterMs *int64         `json:"retryAfterMs"` // null if the vendor asks for no wait
	Message      string         `json:"message"`
	Effect       *string        `json:"effect"`            // of a write: done, none or open; null for what is no write
	Ended        bool           `json:"ended,omitempty"`   // of an open effect: the vendor's work has ended, so that asking can close it at once
	Unknown      bool           `json:"unknown,omitempty"` // the effect is open
}

// effects are what the effects of a write are for people.
var effects = map[classify.Effect]string{
	classify.Done: "done: the vendor confirmed it",
	classify.None: "none: nothing was done; it may be sent again",
	classify.Open: "open: ask before it is sent again",
}

func (a *app) explain() *cobra.Command {
	var adapter, op, bodyFile string
	var status int
	var headers []string
	c := &cobra.Command{
		Use:   "explain --adapter NAME --status N",
		Short: "Say what the classifier would decide about a response, and why; needs no server",
		Example: `  starter explain --adapter dataverse --op write --status 429 --header 'Retry-After: 37'
  starter explain --adapter xledger --op read --status 200 --body-file answer.json -o json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			codes, ok := codeTables[adapter]
			if !ok {
				return usage("--adapter %q: want one of %s", adapter, strings.Join(slices.Sorted(maps.Keys(codeTables)), ", "))
			}
			seen := classify.HTTPResponse{Op: classify.Op(op), Status: status, Header: http.Header{}, Received: time.Now()}
			if !slices.Contains([]classify.Op{classify.Read, classify.Write, classify.Token}, seen.Op) {
				return usage("--op %q: want read, write or token", op)
			}
			if status < 100 || status > 999 {
				return usage("--status %d: want an HTTP status, 100 to 999", status)
			}
			for _, h := range headers {
				name, value, ok := strings.Cut(h, ":")
				if !ok || strings.TrimSpace(name) == "" {
					return usage("--header %q: want 'Name: value'", h)
				}
				seen.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
			}
			var err error
			if seen.Body, seen.Truncated, err = readAnswer(bodyFile, c.InOrStdin()); err != nil {
				return err
			}
			return a.printVerdict(c.OutOrStdout(), classify.Response(seen, codes))
		},
	}
	f := c.Flags()
	f.StringVar(&adapter, "adapter", "", "whose codes apply: "+strings.Join(slices.Sorted(maps.Keys(codeTables)), ", "))
	f.StringVar(&op, "op", "read", "what the call was: read, write or token")
	f.IntVar(&status, "status", 0, "HTTP status of the response")
	f.StringArrayVar(&headers, "header", nil, "a response header, 'Name: value'; may be repeated")
	f.StringVar(&bodyFile, "body-file", "", "`file` with the response body; - is standard input")
	_ = c.RegisterFlagCompletionFunc("adapter", cobra.FixedCompletions(slices.Sorted(maps.Keys(codeTables)), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("op", cobra.FixedCompletions([]string{"read", "write", "token"}, cobra.ShellCompDirectiveNoFileComp))
	return c
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
			return nil, false, usage("--body-file: %w", err)
		}
		defer f.Close()
		in = f
	}
	body, err = io.ReadAll(io.LimitReader(in, adapters.MaxAnswer+1))
	if err != nil {
		return nil, false, usage("--body-file: %w", err)
	}
	return body[:min(len(body), adapters.MaxAnswer)], len(body) > adapters.MaxAnswer, nil
}

func (a *app) printVerdict(out io.Writer, v classify.Verdict) error {
	e := explained{Class: v.Class, Kind: v.Kind, Rule: v.Rule, Retry: v.Retry(), Message: redact.Text(v.Message), Ended: v.Ended, Unknown: v.Effect == classify.Open}
	if v.Effect != "" {
		effect := string(v.Effect)
		e.Effect = &effect
	}
	if v.RetryAfter > 0 {
		ms := v.RetryAfter.Milliseconds()
		e.RetryAfterMs = &ms
	}
	if a.output == "json" {
		return printJSON(out, e)
	}
	wait := "-"
	if e.RetryAfterMs != nil {
		wait = v.RetryAfter.String()
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
