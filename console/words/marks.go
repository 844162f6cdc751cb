package words

import (
	"unicode"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/exports"
)

// Mark is how something is: a sign and a word, and a tone for its colour. No two of a kind
// differ in the tone alone, so whoever sees no colours reads the same.
type Mark struct {
	Sign string
	Word string
	Tone string // good, bad, waiting, unknown or quiet
}

// marks are the signs and tones. A word is the text with the key.
var marks = map[string]Mark{
	"outcome.exported":  {Sign: "✓", Tone: "good"},
	"outcome.refused":   {Sign: "✗", Tone: "bad"},
	"outcome.waiting":   {Sign: "…", Tone: "waiting"},
	"outcome.unknown":   {Sign: "?", Tone: "unknown"},
	"outcome.withdrawn": {Sign: "–", Tone: "quiet"},

	"chain.complete":   {Sign: "✓", Tone: "good"},
	"chain.incomplete": {Sign: "✗", Tone: "bad"},
	"chain.running":    {Sign: "…", Tone: "waiting"},
	"chain.failed":     {Sign: "✗", Tone: "bad"},
	"chain.missed":     {Sign: "✗", Tone: "bad"},
	"chain.none":       {Sign: "–", Tone: "quiet"},
}

func (p *Printer) mark(key string) Mark {
	m, ok := marks[key]
	if !ok {
		return Mark{Sign: "?", Word: missing(key, "there is no mark "+key), Tone: "unknown"}
	}
	m.Word = p.T(key)
	return m
}

// Outcome is what became of a voucher or an entry: ✓ "kom frem".
func (p *Printer) Outcome(o exports.Outcome) Mark { return p.mark("outcome." + string(o)) }

// ChainState is how far a period is: ✓ "fullført".
func (p *Printer) ChainState(s exports.ChainState) Mark { return p.mark("chain." + string(s)) }

// Missed is a period whose run should have started, and did not.
func (p *Printer) Missed() Mark { return p.mark("chain.missed") }

// NotExported is a period of which there is no export, and none is missed.
func (p *Printer) NotExported() Mark { return p.mark("chain.none") }

// Vendor is the name of an adapter's vendor: "Xledger". One that has no name here has that of
// its adapter, and no adapter is "the receiving system".
func (p *Printer) Vendor(adapter string) string {
	if adapter == "" {
		return p.T("vendor.any")
	}
	if key := "vendor." + adapter; Known(key) {
		return p.T(key)
	}
	return adapter
}

// Capital is a text that begins with a capital letter, as a sentence or a heading does.
func Capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[size:]
}
