package ledgerline_test

import (
	"go/ast"
	"go/types"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// printers are the functions by which starter prints JSON, with the place of the value among
// their arguments.
var printers = map[string]int{"printJSON": 1, "printJSONLine": 1, "app.print": 1}

// stored are types whose values have the names of the record and of Temporal's payloads, with
// what is shown in their place.
var stored = map[string]string{
	"exports.EntryState": "statement.State", "exports.Export": "statement.Export", "exports.Progress": "statement.Export",
	"activities.Attempt": "calls.Attempt", "notify.Cause": "notify.Cause.Name", "notify.Facts": "statement.Facts", "integrations.Integration": "integrations.Shown",
}

// Names of members: how they are written, which are never used, and which ends have a number
// that is a duration.
var (
	lowerCamel     = regexp.MustCompile(`^[a-z][a-zA-Z0-9]*$`)
	otherName      = map[string]string{"class": "errorClass", "errorCode": "errorKind", "errorMessage": "message", "error": "message", "org": "organization"}
	durationNumber = regexp.MustCompile(`(Ms|MS|Ns|NS|Millis|Nanos|Secs|Seconds|Minutes)$`)
)

// kept are members with another name, with the reason.
var kept = map[string]string{
	"cmd/starter.verdictReport.class":        "scripts that test classification read it; errorClass stands beside it",
	"cmd/starter.verdictReport.retryAfterMs": "the same; retryAfter stands beside it",
}

// vocabulary walks the types that starter prints as JSON.
type vocabulary struct {
	t       *testing.T
	seen    map[types.Type]bool
	used    map[string]bool // of kept
	members int
}

// One vocabulary: whatever a command prints as JSON has names in lowerCamel, the same for the
// same thing, durations as text, and refused for what is not taken.
func TestOneVocabularyInJSON(t *testing.T) {
	v := vocabulary{t: t, seen: make(map[types.Type]bool), used: make(map[string]bool)}
	calls := 0
	for _, p := range load(t) {
		if p.path != "cmd/starter" {
			continue
		}
		for _, f := range p.files {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "print" && fn.Recv != nil && receiver(p, fn) == "app" {
					continue // which hands on what it is given
				}
				ast.Inspect(d, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					if place, prints := printers[called(p, call)]; prints {
						calls++
						v.walk(p.info.Types[call.Args[place]].Type, p.fset.Position(call.Pos()).String())
					}
					return true
				})
			}
		}
	}
	require.Greater(t, calls, 30, "too few places print JSON to prove anything")
	require.Greater(t, v.members, 300, "too few members to prove anything")
	for name := range kept {
		require.True(t, v.used[name], "%s is kept and not there", name)
	}
}

// receiver is the name of the type of a method.
func receiver(p typed, fn *ast.FuncDecl) string {
	of := p.info.Defs[fn.Name].Type().(*types.Signature).Recv().Type()
	return short(of)[strings.LastIndex(short(of), ".")+1:]
}

// called is the name of a function that is called, with its receiver's type if it is a method.
func called(p typed, call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if s := p.info.Selections[f]; s != nil {
			of := short(s.Recv())
			return of[strings.LastIndex(of, ".")+1:] + "." + f.Sel.Name
		}
	}
	return ""
}

// walk checks a type, and what it is made of.
func (v *vocabulary) walk(of types.Type, at string) {
	of = types.Unalias(of)
	name := short(of)
	require.NotEqual(v.t, "time.Duration", name, "%s is printed as a number of nanoseconds: make it a text", at)
	if view, is := stored[name]; is {
		v.t.Errorf("%s: %s has the names of the record: print %s", at, name, view)
		return
	}
	if v.seen[of] || marshals(of) {
		return
	}
	v.seen[of] = true
	switch u := of.Underlying().(type) {
	case *types.Pointer:
		v.walk(u.Elem(), at)
	case *types.Slice:
		v.walk(u.Elem(), at)
	case *types.Map:
		v.walk(u.Key(), at+" (key)")
		v.walk(u.Elem(), at)
	case *types.Interface:
		v.t.Errorf("%s: any value is printed: give it a type whose names can be checked", at)
	case *types.Struct:
		for i := range u.NumFields() {
			v.field(u.Field(i), reflect.StructTag(u.Tag(i)), strings.TrimPrefix(name, "*"))
		}
	}
}

// field checks a field of a type that is printed.
func (v *vocabulary) field(f *types.Var, tag reflect.StructTag, of string) {
	member, _, _ := strings.Cut(tag.Get("json"), ",")
	switch {
	case member == "-":
		return
	case f.Embedded() && member == "":
		v.walk(f.Type(), of+"."+f.Name())
		return
	case !f.Exported():
		return
	}
	at := of + "." + member
	v.members++
	if _, ok := kept[at]; ok {
		v.used[at] = true
		return
	}
	if !lowerCamel.MatchString(member) {
		v.t.Errorf("%s.%s: its name in JSON is %q: want it in lowerCamel", of, f.Name(), member)
	}
	if better, is := otherName[member]; is {
		v.t.Errorf("%s: others call this %s", at, better)
	}
	if durationNumber.MatchString(member) {
		v.t.Errorf("%s is a duration as a number: make it a text", at)
	}
	if strings.Contains(strings.ToLower(member), "reject") {
		v.t.Errorf("%s: what is not taken is refused", at)
	}
	v.walk(f.Type(), at)
}

// marshals reports whether a type says by itself how it is written.
func marshals(of types.Type) bool {
	for _, method := range []string{"MarshalJSON", "MarshalText"} {
		if m, _, _ := types.LookupFieldOrMethod(of, true, nil, method); m != nil {
			if _, ok := m.(*types.Func); ok {
				return true
			}
		}
	}
	return false
}

// What people read says refused, as JSON does: the record's word is for the record.
func TestPeopleReadRefused(t *testing.T) {
	said := map[string]bool{"cmd/starter": true, "statement": true, "outlook": true, "calls": true, "notify": true, "integrations": true, "engine": true, "workflows": true, "exports": true}
	names := map[string]bool{"rejected": true} // the values on record: exports.Rejected and notify.Rejected
	texts := 0
	for _, p := range load(t) {
		if !said[p.path] {
			continue
		}
		for _, f := range p.files {
			tags := make(map[*ast.BasicLit]bool)
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Field:
					tags[n.Tag] = true
				case *ast.BasicLit:
					text, err := strconv.Unquote(n.Value)
					if err != nil || tags[n] || names[text] && p.path != "cmd/starter" {
						return true
					}
					texts++
					require.NotContains(t, strings.ToLower(text), "reject", "%s: people read refused", p.fset.Position(n.Pos()))
				}
				return true
			})
		}
	}
	require.Greater(t, texts, 1000)
}
