package words

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var files embed.FS

// text is what a key says in one language. One is for the number 1 alone; "" if the text does
// not depend on a number.
type text struct{ One, Other string }

// UnmarshalYAML reads a text, or its two forms by number.
func (t *text) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		t.Other = n.Value
		return nil
	}
	var forms map[string]string
	if err := n.Decode(&forms); err != nil {
		return err
	}
	t.One, t.Other = forms["one"], forms["other"]
	if len(forms) != 2 || t.One == "" || t.Other == "" {
		return fmt.Errorf("line %d: want a text, or both one and other", n.Line)
	}
	return nil
}

// texts are those of all files, by key and language. A file that cannot be read is an error
// of the program that it is part of.
var texts = sync.OnceValue(func() map[string]map[Language]text {
	all := make(map[string]map[Language]text)
	list, err := files.ReadDir(".")
	if err != nil {
		panic("words: " + err.Error())
	}
	for _, f := range list {
		source, err := files.ReadFile(f.Name())
		if err != nil {
			panic("words: " + err.Error())
		}
		var keys map[string]map[Language]text
		if err := yaml.NewDecoder(bytes.NewReader(source)).Decode(&keys); err != nil && err != io.EOF {
			panic("words: " + f.Name() + ": " + err.Error())
		}
		for key, languages := range keys {
			if all[key] != nil {
				panic("words: " + f.Name() + ": key " + key + " is in another file too")
			}
			for l := range languages {
				if l != English && l != Bokmal { // YAML takes what follows a comma for another member
					panic("words: " + f.Name() + ": " + key + ": " + string(l) + " is no language; put a text with a comma in quotes")
				}
			}
			all[key] = languages
		}
	}
	return all
})

// Known reports whether there is a text with a key.
func Known(key string) bool { return texts()[key] != nil }

// argument is where a text has one of its arguments.
var argument = regexp.MustCompile(`\{([a-zA-Z][a-zA-Z0-9]*)\}`)

// T is the text of a key. Its arguments follow as pairs of name and value: p.T("overview.needs",
// "n", 2) puts 2 where the text has {n}. A text with two forms takes the one that n asks for. Whole
// numbers are written as [Printer.Number] does, everything else as it is.
//
// A key or an argument that is missing is an error of the program: in tests it panics, and
// otherwise people see its name.
func (p *Printer) T(key string, pairs ...any) string {
	known, ok := texts()[key]
	if !ok {
		return missing(key, "there is no text "+key)
	}
	args := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		args[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	form := known[p.language]
	s := form.Other
	if form.One != "" {
		n, ok := args["n"].(int)
		if !ok {
			missing("", "text "+key+" depends on a number n, and is given none")
		}
		if n == 1 || n == -1 {
			s = form.One
		}
	}
	return argument.ReplaceAllStringFunc(s, func(at string) string {
		switch value := args[strings.Trim(at, "{}")].(type) {
		case nil:
			return missing(at, "text "+key+" has the argument "+at+", and is given none")
		case int:
			return p.Number(value)
		case int64:
			return p.Number(int(value))
		default:
			return fmt.Sprint(value)
		}
	})
}

// missing is what people see where something is missing; a test stops with the reason.
func missing(shown, reason string) string {
	if testing.Testing() {
		panic("words: " + reason)
	}
	return shown
}
