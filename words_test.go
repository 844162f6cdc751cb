package ledgerline_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a vendor says passes activities/said.go, where it is masked before it is cut.
// Two rules hold that: only the files of [hear] ask adapters or read what they said, and
// whoever has a vendor's words before cuts nothing.

// asking are the methods by which a vendor says something.
var asking = []string{"Adapter.Do", "Finder.Find", "Exporter.References", "Exporter.LateErrors", "Verifier.Verify"}

// words are the fields that hold a vendor's words before they are masked.
var words = map[string]bool{
	"classify.Verdict.Message": true, "adapters.LateError.Message": true, "adapters.LateError.Reference": true,
	"adapters.Answer.Header": true, "adapters.Response.Body": true, "adapters.Client.Do": true, "notify.Result.Err": true,
}

// hear are the files, beside those of classify and adapters, that may ask or read
// them, with the reason.
var hear = map[string]string{
	"activities/said.go":       "masks them",
	"activities/notify.go":     "masks what a receiver says for the log",
	"notify/mail.go":           "looks whether there is an error",
	"activities/call.go":       "hands what an attempt hears to said.go, and masks once more, with errors of our own in it",
	"activities/chunk.go":      "records late errors, as said.go returns them",
	"cmd/starter/explain.go":   "explains what somebody wrote, with shapes masked",
	"internal/bench/export.go": "measures, and keeps nothing",
}

// cuts are the functions of classify and adapters that take the beginning of
// something, with the reason why no vendor's words are lost by it.
var cuts = map[string]string{
	"classify.graphQLErrorOf":                      "an empty list",
	"classify.Table.lookupRaw":                     "without the quotes",
	"classify.CanonicalCode":                       "the prefix of a number",
	"classify.Policy.NextDelay":                    "a hash",
	"classify.members":                             "a value, whole",
	"classify.elements":                            "a value, whole",
	"classify.unquote":                             "without the quotes",
	"classify.looksLikeHTML":                       "is looked at and not kept",
	"adapters.judge":                               "a body at its limit of 4 MB, which counts as cut off",
	"adapters.SplitLookup":                         "keys of ours",
	"adapters/businesscentral.document":            "a voucher of ours",
	"adapters/businesscentral.cut":                 "a text of ours",
	"adapters/businesscentral.verification.fields": "a list, whole",
	"adapters/xledger.name":                        "a field of the caller's own document, for the line that says what a call asks",
}

// typed is a package of the module with its types.
type typed struct {
	path  string // within the module
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
}

// load checks the types of the module's packages, without their tests. What they
// import is read from the compiler's export data.
func load(t *testing.T) (all []typed) {
	t.Helper()
	type listed struct {
		ImportPath, Dir, Export string
		GoFiles                 []string
	}
	var list []listed
	exports := make(map[string]string)
	for _, p := range goList[listed](t, "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles") {
		if _, seen := exports[p.ImportPath]; seen {
			continue
		}
		exports[p.ImportPath] = p.Export
		if path, ours := strings.CutPrefix(p.ImportPath, module); ours {
			p.ImportPath = path
			list = append(list, p)
		}
	}
	require.Greater(t, len(list), 10, "go list found too few packages to prove anything")
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range list {
		loaded := typed{path: p.ImportPath, fset: fset, info: &types.Info{
			Selections: make(map[*ast.SelectorExpr]*types.Selection), Types: make(map[ast.Expr]types.TypeAndValue), Defs: make(map[*ast.Ident]types.Object),
		}}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			loaded.files = append(loaded.files, f)
		}
		_, err := (&types.Config{Importer: from}).Check(module+p.ImportPath, fset, loaded.files, loaded.info)
		require.NoError(t, err)
		all = append(all, loaded)
	}
	return all
}

// short is a type's name with the module's path left out and without a pointer.
func short(of types.Type) string {
	name := strings.TrimPrefix(of.String(), "*")
	return strings.TrimPrefix(name, module)
}

func TestVendorsWordsEnterInOnePlace(t *testing.T) {
	contract := make(map[string]*types.Interface)
	packages := load(t)
	seen := make(map[string]bool)
	for _, p := range packages {
		if p.path != "adapters" {
			continue
		}
		for _, object := range p.info.Defs {
			if named, ok := object.(*types.TypeName); ok {
				if i, ok := named.Type().Underlying().(*types.Interface); ok {
					contract[named.Name()] = i
				}
			}
		}
	}
	for _, p := range packages {
		if within(module+p.path, "classify") || within(module+p.path, "adapters") {
			continue
		}
		for _, f := range p.files {
			file := p.path + "/" + filepath.Base(p.fset.Position(f.Pos()).Filename)
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok || p.info.Selections[s] == nil {
					return true
				}
				what := short(p.info.Selections[s].Recv()) + "." + s.Sel.Name
				if !words[what] && !asks(p.info.Selections[s], contract) {
					return true
				}
				seen[what] = true
				if _, may := hear[file]; !may {
					t.Errorf("%s: %s is what a vendor says; it enters through activities/said.go", p.fset.Position(s.Pos()), what)
				}
				return true
			})
		}
	}
	require.True(t, seen["classify.Verdict.Message"], "no verdict's message is read, so this test proves nothing")
	for _, one := range asking {
		require.True(t, seen["adapters."+one], "%s is asked nowhere: was it renamed?", one)
	}
}

// asks reports whether a method is one of those of [asking], of an adapter or of a
// type with the same method.
func asks(s *types.Selection, contract map[string]*types.Interface) bool {
	f, ok := s.Obj().(*types.Func)
	if !ok {
		return false
	}
	for _, one := range asking {
		of, name, _ := strings.Cut(one, ".")
		if f.Name() != name || contract[of] == nil {
			continue
		}
		for i := range contract[of].NumMethods() {
			m := contract[of].Method(i)
			if m.Name() == name && m.Signature().String() == f.Signature().String() {
				return true
			}
		}
	}
	return false
}

func TestVendorsWordsAreNotCut(t *testing.T) {
	used := make(map[string]bool)
	for _, p := range load(t) {
		if p.path != "classify" && !within(module+p.path, "adapters") || p.path == "adapters/adaptertest" {
			continue
		}
		for _, f := range p.files {
			for _, d := range f.Decls {
				function := p.path
				if d, ok := d.(*ast.FuncDecl); ok {
					function += "." + d.Name.Name
					if d.Recv != nil {
						function = short(p.info.Types[d.Recv.List[0].Type].Type) + "." + d.Name.Name
					}
				}
				ast.Inspect(d, func(n ast.Node) bool {
					s, ok := n.(*ast.SliceExpr)
					if !ok || s.High == nil {
						return true
					}
					if used[function] = true; cuts[function] == "" {
						t.Errorf("%s: %s takes the beginning of something; a vendor's words are cut by package redact, once they are masked", p.fset.Position(s.Pos()), function)
					}
					return true
				})
			}
		}
	}
	for function := range cuts {
		require.True(t, used[function], "%s cuts nothing any more: take it from the list", function)
	}
}
