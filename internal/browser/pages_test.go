package browser

import (
	"os"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// looks are what people have before the eyes: wide and at 400 % zoom, where 1280 pixels are 320,
// light and dark.
var looks = map[string]look{
	"wide, light": {width: 1280, height: 860}, "wide, dark": {width: 1280, height: 860, dark: true},
	"narrow, light": {width: 320, height: 640}, "narrow, dark": {width: 320, height: 640, dark: true},
}

// TestPagesAreAccessible: axe-core finds nothing on any page, in both languages, light and dark,
// wide and narrow; and no page is wider than a window of 320 pixels.
func TestPagesAreAccessible(t *testing.T) {
	axe, err := os.ReadFile("../../.bin/axe/node_modules/axe-core/axe.min.js")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip("AXE IS NOT RUN: make axe gets it from npm")
	}
	_, pages := closed(t, "Håndballklubben", "handball")
	for _, lang := range []string{"en", "nb"} {
		p := meet(t, lang, look{})
		for name, address := range pages {
			p.open(address)
			p.do(chromedp.Evaluate(string(axe)+";0", nil))
			for how, l := range looks {
				p.look(l)
				var wrong []string
				p.do(chromedp.Evaluate(`axe.run(document, {resultTypes: ["violations"]}).then((r) =>
					r.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + v.help + ": " + n.html.slice(0, 300) + " " + n.failureSummary)))`, &wrong,
					func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
				for _, w := range wrong {
					t.Errorf("%s in %s, %s: %s", name, lang, how, w)
				}
				if l.width == 320 {
					var wide int
					p.do(chromedp.Evaluate("document.documentElement.scrollWidth", &wide))
					if wide > 320 {
						t.Errorf("%s in %s is %d pixels wide in a window of 320", name, lang, wide)
					}
				}
			}
		}
	}
}
