package browser

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// patience is how long a person waits for something to be on the page. Nothing is measured by it.
const patience = 60 * time.Second

// person is somebody at a browser who knows only what pages say: things are found by their role
// and their accessible name, as a screen reader says them, and never by how a page is made.
type person struct {
	t    *testing.T
	ctx  context.Context
	lang string
}

// look is what a person has before the eyes.
type look struct {
	width, height int64 // 1280 × 860 if 0
	dark          bool
	noScript      bool
}

// meet opens a browser of its own for somebody with a language: en or nb.
func meet(t *testing.T, lang string, l look) *person {
	t.Helper()
	ctx, end := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	require.NoError(t, chromedp.Run(ctx)) // opens the window, which lives as long as this context
	p := &person{t, ctx, lang}
	p.look(l)
	p.do(network.Enable(), network.SetExtraHTTPHeaders(network.Headers{"Accept-Language": lang}), accessibility.Enable())
	return p
}

// look changes what a person has before the eyes.
func (p *person) look(l look) {
	p.t.Helper()
	if l.width == 0 {
		l.width, l.height = 1280, 860
	}
	scheme := map[bool]string{false: "light", true: "dark"}[l.dark]
	p.do(chromedp.EmulateViewport(l.width, l.height), emulation.SetScriptExecutionDisabled(l.noScript),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
}

// say chooses a text by the person's language.
func (p *person) say(en, nb string) string {
	if p.lang == "nb" {
		return nb
	}
	return en
}

func (p *person) do(actions ...chromedp.Action) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Run(ctx, actions...))
}

// open opens an address.
func (p *person) open(url string) {
	p.t.Helper()
	p.do(chromedp.Navigate(url))
}

// thing is something on a page.
type thing struct {
	id         cdp.BackendNodeID
	node       string // in the tree
	role, name string
	focused    bool
}

// tree is what the browser says of a page to a screen reader. chromedp's own type does not know all
// of its words.
type tree struct {
	Nodes []struct {
		NodeID     string            `json:"nodeId"`
		ParentID   string            `json:"parentId"`
		Ignored    bool              `json:"ignored"`
		Role       value             `json:"role"`
		Name       value             `json:"name"`
		Backend    cdp.BackendNodeID `json:"backendDOMNodeId"`
		Properties []struct {
			Name  string `json:"name"`
			Value value  `json:"value"`
		} `json:"properties"`
	} `json:"nodes"`
}

type value struct {
	Value any `json:"value"`
}

// String is a text, "" for what is none.
func (v value) String() string {
	s, _ := v.Value.(string)
	return s
}

// things is all that the page shows, as a screen reader has it, and what each is in.
func (p *person) things() (list []thing, parents map[string]string, err error) {
	parents = make(map[string]string)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err = chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		var is tree
		err := cdp.Execute(ctx, accessibility.CommandGetFullAXTree, accessibility.GetFullAXTree(), &is)
		for _, n := range is.Nodes {
			parents[n.NodeID] = n.ParentID
			if n.Ignored {
				continue
			}
			one := thing{id: n.Backend, node: n.NodeID, role: n.Role.String(), name: blank(n.Name.String())}
			for _, property := range n.Properties {
				one.focused = one.focused || property.Name == "focused" && property.Value.Value == true && one.role != "RootWebArea"
			}
			list = append(list, one)
		}
		return err
	}))
	return list, parents, err
}

var blanks = regexp.MustCompile(`[\s\x{a0}\x{202f}]+`)

// blank is a text with one blank wherever it has some.
func blank(s string) string { return strings.TrimSpace(blanks.ReplaceAllString(s, " ")) }

// find waits for something of a role and a name, and if within is given, in the row, the article or
// the form that says that too.
func (p *person) find(role, name, within string) thing {
	p.t.Helper()
	var found thing
	p.until(fmt.Sprintf("%s %q %s", role, name, within), func() bool {
		list, parents, err := p.things()
		if err != nil {
			return false
		}
		for _, one := range list {
			if one.role == role && one.name == name && (within == "" || says(list, parents, one, within)) {
				found = one
				return true
			}
		}
		return false
	})
	return found
}

// says reports whether the row, article or form around a thing says a text.
func says(list []thing, parents map[string]string, one thing, text string) bool {
	around := map[string]bool{"row": true, "article": true, "form": true, "listitem": true}
	roles := make(map[string]string, len(list))
	for _, o := range list {
		roles[o.node] = o.role
	}
	for at := parents[one.node]; at != ""; at = parents[at] {
		if !around[roles[at]] {
			continue
		}
		var all []string
		for _, o := range list {
			if o.role != "StaticText" {
				continue
			}
			for up := parents[o.node]; up != ""; up = parents[up] {
				if up == at {
					all = append(all, o.name)
					break
				}
			}
		}
		if strings.Contains(strings.Join(all, " "), text) {
			return true
		}
	}
	return false
}

// until waits for something; what is for whom it does not come.
func (p *person) until(what string, is func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if is() {
			return
		}
		if time.Now().After(end) {
			p.picture(os.Getenv("TROUBLE"))
			require.FailNow(p.t, "not on the page: "+what, "%s\n%s", p.address(), p.text())
		}
	}
}

// click clicks on something in the page.
func (p *person) click(role, name string) { p.t.Helper(); p.clickIn(role, name, "") }

// clickIn does it in the row, article or form that says a text.
func (p *person) clickIn(role, name, within string) {
	p.t.Helper()
	p.until("to click on: "+role+" "+name, func() bool {
		one := p.find(role, name, within)
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		return chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) error {
			if err := dom.ScrollIntoViewIfNeeded().WithBackendNodeID(one.id).Do(ctx); err != nil {
				return err
			}
			quads, err := dom.GetContentQuads().WithBackendNodeID(one.id).Do(ctx)
			if err != nil || len(quads) == 0 {
				return fmt.Errorf("it has no place on the page: %w", err)
			}
			q := quads[0]
			return chromedp.MouseClickXY((q[0]+q[4])/2, (q[1]+q[5])/2).Do(ctx)
		})) == nil
	})
}

// follow clicks on what leads to another page, and waits for that.
func (p *person) follow(role, name string) { p.t.Helper(); p.followIn(role, name, "") }

func (p *person) followIn(role, name, within string) {
	p.t.Helper()
	p.arrive(func() { p.clickIn(role, name, within) })
}

// arrive does what leads to another page, and waits until that is there.
func (p *person) arrive(act func()) {
	p.t.Helper()
	was := p.document()
	act()
	p.until("another page", func() bool {
		var state string
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		return p.document() != was && chromedp.Run(ctx, chromedp.Evaluate("document.readyState", &state)) == nil && state == "complete"
	})
}

// document identifies the document that the page shows.
func (p *person) document() (id cdp.LoaderID) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		tree, err := page.GetFrameTree().Do(ctx)
		if err == nil {
			id = tree.Frame.LoaderID
		}
		return err
	}))
	return id
}

// write writes into a field, over what it has.
func (p *person) write(name, text string) {
	p.t.Helper()
	one := p.find("textbox", name, "")
	p.do(dom.Focus().WithBackendNodeID(one.id),
		input.DispatchKeyEvent(input.KeyDown).WithKey("a").WithModifiers(input.ModifierCtrl).WithCommands([]string{"selectAll"}), input.InsertText(text))
}

// file chooses a file in a field for one.
func (p *person) file(name, path string) {
	p.t.Helper()
	one := p.find("button", name, "")
	p.do(dom.SetFileInputFiles([]string{path}).WithBackendNodeID(one.id))
}

// press presses keys, such as kb.Tab.
func (p *person) press(keys string) { p.t.Helper(); p.do(chromedp.KeyEvent(keys)) }

// tab goes on with the Tab key until something has the focus.
func (p *person) tab(role, name string) {
	p.t.Helper()
	for range 200 {
		p.press(kb.Tab)
		if is := p.focused(); is.role == role && is.name == name {
			return
		}
	}
	require.FailNow(p.t, "the Tab key does not lead to "+role+" "+name, p.text())
}

// focused is what has the focus.
func (p *person) focused() thing {
	p.t.Helper()
	list, _, err := p.things()
	require.NoError(p.t, err)
	if i := slices.IndexFunc(list, func(one thing) bool { return one.focused }); i >= 0 {
		return list[i]
	}
	return thing{}
}

// sees waits until the page says all of some texts.
func (p *person) sees(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		p.until(fmt.Sprintf("%q", text), func() bool { return strings.Contains(p.text(), text) })
	}
}

// text is what the page says to eyes.
func (p *person) text() (s string) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Evaluate("document.body.innerText", &s))
	return blank(s)
}

func (p *person) address() (s string) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Location(&s))
	return s
}

// picture writes what the page looks like into a file.
func (p *person) picture(path string) {
	if path == "" {
		return
	}
	var b []byte
	if chromedp.Run(p.ctx, chromedp.CaptureScreenshot(&b)) == nil {
		require.NoError(p.t, os.WriteFile(path, b, 0o644))
	}
}
