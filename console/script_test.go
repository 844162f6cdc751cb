package console

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"golang.org/x/net/html"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// elements are a page's elements of a name, as a browser reads it.
func elements(t *testing.T, page, name string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	return within(root, name)
}

// within are the elements of a name in another; "" is all.
func within(n *html.Node, name string) (list []*html.Node) {
	for one := range n.Descendants() {
		if one.Type == html.ElementNode && (name == "" || one.Data == name) {
			list = append(list, one)
		}
	}
	return list
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// known are the elements and attributes that our pages have. Anything else came from a text.
var (
	knownElements   = strings.Fields("html head meta title link script body a header nav ul ol li div form input button span p main footer time h1 h2 h3 article dl dt dd strong em code pre table caption thead tbody tr th td label fieldset legend select option details summary blockquote progress br del ins section small q")
	knownAttributes = strings.Fields("lang charset name content href rel type src defer data-live class aria-label aria-current aria-hidden method action value id role tabindex hidden datetime for maxlength required size scope colspan rowspan data-label data-part checked selected form max min inputmode enctype accept download open aria-describedby aria-live autocomplete data-total pattern step placeholder aria-labelledby title")
)

// clean checks that a page has nothing but what our templates have: no element, attribute,
// address or script of somebody's text, and no character that hides or turns text.
func clean(t *testing.T, where, page string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	scripts := 0
	for n := range root.Descendants() {
		switch n.Type {
		case html.CommentNode:
			t.Errorf("%s: a comment %q", where, n.Data)
		case html.TextNode:
			for _, c := range n.Data {
				if unicode.In(c, unicode.Bidi_Control) || unicode.IsControl(c) && c != '\n' && c != '\t' || c == '\u200b' || c == '\ufeff' || c >= 0xe0000 && c < 0xe0080 {
					t.Errorf("%s: the text of <%s> has %U: %q", where, n.Parent.Data, c, n.Data)
					break
				}
			}
		case html.ElementNode:
			if !slices.Contains(knownElements, n.Data) {
				t.Errorf("%s: an element <%s>", where, n.Data)
			}
			for _, a := range n.Attr {
				if !slices.Contains(knownAttributes, a.Key) {
					t.Errorf("%s: <%s> has an attribute %s", where, n.Data, a.Key)
				}
				switch a.Key {
				case "href", "action", "src":
					u, err := url.Parse(a.Val)
					if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "//") {
						t.Errorf("%s: <%s %s=%q> leads away", where, n.Data, a.Key, a.Val)
					}
				case "aria-label":
					for _, c := range a.Val {
						if unicode.In(c, unicode.Bidi_Control) {
							t.Errorf("%s: a label has %U", where, c)
							break
						}
					}
				}
			}
			if n.Data == "script" {
				if scripts++; attribute(n, "src") != "/static/console.js" || n.FirstChild != nil {
					t.Errorf("%s: a script of somebody's", where)
				}
			}
		}
	}
	require.LessOrEqual(t, scripts, 1, where)
	require.NotContains(t, page, "ZgotmplZ", where)
}

// nasty are texts that files, vendors and people bring.
var nasty = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`, `</title></textarea></style><svg/onload=alert(1)>`, `{{.Org}}${7*7}`, `<!--`, `&lt;b&gt;<b>`, `</script><script>`, "<plaintext>", `data:text/html,<script>`, "=cmd|' /C calc'!A0", "@SUM(1+1)", "+1", "-1+1", "\u202egnp.exe", "a\u200bb", "\u2066x\u2069",
}

// nastyHouse is a house whose every text is nasty, with the addresses of its pages.
func nastyHouse(t *testing.T) (*house, *site, []string) {
	h := newHouse(t, "nasty")
	_, err := runlog.ApplyIntegrations(t.Context(), operator, []integrations.Integration{h.spec}, runlog.ApplyOptions{By: "test", Organizations: []integrations.Organization{{ID: h.org, Name: `<b onclick=alert(1)>&"'`, Short: h.short}}})
	require.NoError(t, err)
	s := newSite(t, nil, h)
	var list []runlog.AccountingEntry
	refused := make(map[string]string)
	var vouchers []string
	for i, text := range nasty {
		visible := strings.Map(func(c rune) rune {
			if unicode.Is(unicode.Cf, c) {
				return -1
			}
			return c
		}, text)
		voucher := fmt.Sprintf("%s %d", visible, i)
		vouchers = append(vouchers, voucher)
		for j, amount := range []string{"10.00", "-10.00"} {
			list = append(list, runlog.AccountingEntry{EntryID: fmt.Sprintf("%s/%d-%d", visible, i, j), VoucherID: voucher, Date: time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC), Account: visible, Amount: amount, Currency: "NOK", Text: text, Dimensions: map[string]string{visible: visible}})
		}
		if i%3 > 0 {
			refused[voucher] = text
		}
	}
	_, err = runlog.ImportEntries(t.Context(), operator, h.org, each(list), runlog.ImportOptions{Actor: nasty[0], AllowRepeated: true})
	require.NoError(t, err)
	e := h.export("2026-10", refused)
	_, err = admin.Exec(t.Context(), `UPDATE ledgerline.export_entries SET chunk = 1 WHERE export_id = $1 AND entry_id LIKE '%1'`, e.ID) // said by the vendor
	require.NoError(t, err)
	base := "/o/" + h.short
	pages := []string{base, base + "?search=" + url.QueryEscape(nasty[1]), base + "/attention", base + "/upload", base + "/calls", base + "/calls?search=" + url.QueryEscape(nasty[1]), base + "/calls?integration=" + url.QueryEscape(nasty[0]), base + "/history", base + "/integrations/" + h.spec.Name,
		base + "/periods/" + h.spec.Name + "/2026-10", base + "/periods/" + h.spec.Name + "/2026-10?search=" + url.QueryEscape(nasty[4]), base + "/periods/" + h.spec.Name + "/2026-10?after=" + url.QueryEscape(nasty[0]), base + "/periods/" + h.spec.Name + "/2026-11/export", "/", "/nothing/" + url.PathEscape(nasty[1]), base + "?did=" + url.QueryEscape(nasty[0])}
	for _, v := range vouchers {
		pages = append(pages, base+voucherPath(v))
	}
	return h, s, pages
}

// No text of a file, a vendor or a person becomes a part of a page: read as a browser reads it,
// in both languages, a page has only what our templates have.
func TestStoredScript(t *testing.T) {
	h, s, pages := nastyHouse(t)
	ctx := t.Context()
	kari := s.signedIn(nasty[1]+nasty[15], groupOf(h, signin.Administrator))
	base := "/o/" + h.short
	// Files: their names, headings, cells and sheets.
	var csvFile strings.Builder
	w := csv.NewWriter(&csvFile)
	_ = w.Write([]string{"entry_id", "voucher_id", "entry_date", "account", "amount", "currency", "text", "dimensions.<b>", nasty[0], nasty[1]})
	for i, text := range nasty {
		_ = w.Write([]string{fmt.Sprintf("f%d%s", i, text), text, "2026-11-0" + text[:1], text, text, text, text, text, text, text})
	}
	_ = w.Write([]string{"f", nasty[0], "2026-11-01", nasty[1], "1.00", "NOK", nasty[2], nasty[3], "", ""})
	w.Flush()
	good := "entry_id,voucher_id,entry_date,account,amount,currency,text," + `"<i>x"` + "\nf," + nasty[0] + ",2026-11-01,<b>,1.00,NOK," + nasty[4] + ",\n"
	changed := "entry_id,voucher_id,entry_date,account,amount,currency,text\n<script>alert(1)</script>/0-0,<b>,2026-10-05,<i>,1.00,NOK,x\n"
	book := excelize.NewFile()
	require.NoError(t, book.SetSheetName("Sheet1", `<img src=x>&"`))
	for i, name := range []string{"entry_id", "voucher_id", "entry_date", "account", "amount", "currency", nasty[0]} {
		cell, _ := excelize.CoordinatesToCellName(i+1, 1)
		require.NoError(t, book.SetCellStr(`<img src=x>&"`, cell, name))
		cell, _ = excelize.CoordinatesToCellName(i+1, 2)
		require.NoError(t, book.SetCellStr(`<img src=x>&"`, cell, nasty[1]))
	}
	var sheet bytes.Buffer
	require.NoError(t, book.Write(&sheet))
	for name, content := range map[string]string{nasty[0] + ".csv": csvFile.String(), nasty[1] + "\u202e.csv": good, "changed.csv": changed, nasty[4] + ".xlsx": sheet.String(), "x.jsonl": `{"<script>":"<b>"}`} {
		s.free()
		res := kari.drop(base+"/uploads", name, content)
		require.Equal(t, http.StatusSeeOther, res.StatusCode, res.body)
		at, err := url.Parse(res.Header.Get("Location"))
		require.NoError(t, err)
		for _, query := range []string{"", "?replace=true", "?sheet=" + url.QueryEscape(nasty[1]), "?idFrom=" + url.QueryEscape(nasty[0]), "?columnsOf=" + url.QueryEscape(nasty[0])} {
			pages = append(pages, at.Path+query)
		}
	}
	// People: reasons and notes.
	s.free()
	voucher := base + voucherPath(fmt.Sprintf("%s %d", nasty[1], 1))
	f := formOf(t, kari.get(voucher), "/correct")
	f.Set("reason", nasty[1]+nasty[15])
	f.Set("account.0", nasty[4])
	res := kari.post(voucher+"/correct", f)
	require.Equal(t, http.StatusSeeOther, res.StatusCode, res.body)
	for _, i := range []int{2, 4} {
		gone := base + voucherPath(fmt.Sprintf("%s %d", nasty[i], i))
		require.Equal(t, http.StatusSeeOther, kari.post(gone+"/withdraw", url.Values{"reason": {nasty[i] + nasty[16]}}).StatusCode)
	}
	require.Equal(t, http.StatusSeeOther, kari.post(base+"/integrations/"+h.spec.Name+"/pause", url.Values{"reason": {nasty[1] + nasty[17]}}).StatusCode)
	items, _, err := (&request{Request: kari.get(base).Request, c: s.console, now: time.Now(), org: integrations.Organization{ID: h.org}}).needs(false)
	require.NoError(t, err)
	for i, item := range items {
		if i%2 == 0 {
			res := kari.post(base+"/attention/acknowledge", url.Values{"item": {item.Key}, "note": {nasty[1] + nasty[15]}})
			require.Equal(t, http.StatusSeeOther, res.StatusCode, res.body)
		}
	}
	// Vendors: what calls and exports say.
	_, err = admin.Exec(ctx, `UPDATE ledgerline.export_entries SET late_error = $2 WHERE organization_id = $1 AND state = 'exported' AND entry_id LIKE '%0'`, h.org, nasty[4])
	require.NoError(t, err)
	var attempts []runlog.AttemptRow
	for _, text := range nasty {
		for range 2 {
			attempts = append(attempts, runlog.AttemptRow{OrganizationID: h.org, RequestedIntegrationID: h.spec.ID, CorrelationID: uuid.New(), AdapterName: "xledger", Operation: text, AttemptNumber: 1, ErrorClass: classify.Permanent, ErrorKind: classify.Business,
				Rule: text, HTTPStatus: 200, ErrorMessage: text, OccurredAt: time.Now(), WorkflowID: "w/" + text, RunID: uuid.New(), RunStartedAt: time.Now(), Actor: text})
		}
		pages = append(pages, base+"/calls/"+attempts[len(attempts)-1].CorrelationID.String())
	}
	require.NoError(t, runlog.InsertAttempts(ctx, worker, h.org, attempts))
	_, err = runlog.ApplyIntegrations(ctx, operator, []integrations.Integration{h.spec}, runlog.ApplyOptions{By: nasty[0], Organizations: []integrations.Organization{{ID: h.org, Name: `<b>`, Short: h.short}}})
	require.NoError(t, err)

	for _, path := range pages {
		for _, l := range words.Languages {
			res := kari.get(path, "Accept-Language", string(l))
			require.Less(t, res.StatusCode, 500, path)
			require.True(t, strings.HasPrefix(res.Header.Get("Content-Type"), "text/html"), path)
			clean(t, string(l)+" "+path, res.body)
		}
	}
	// Every link of a period leads to the voucher that it names.
	page := kari.get(base + "/periods/" + h.spec.Name + "/2026-10")
	links := 0
	for _, a := range elements(t, page.body, "a") {
		to := attribute(a, "href")
		if !strings.HasPrefix(to, base+"/vouchers/") {
			continue
		}
		links++
		var b strings.Builder
		require.NoError(t, html.Render(&b, a))
		require.Equal(t, http.StatusOK, kari.get(to).StatusCode, "%s", b.String())
		h1 := elements(t, kari.get(to).body, "h1")[0]
		require.Contains(t, h1.FirstChild.Data, a.FirstChild.Data)
	}
	require.Equal(t, len(nasty), links)
}

// What people download runs nothing: no cell begins as a formula does, and none hides or turns
// what it says. A workbook has texts as texts.
func TestDownloadsRunNothing(t *testing.T) {
	h, s, _ := nastyHouse(t)
	kari := s.signedIn("kari", groupOf(h, signin.Viewer))
	safe := func(cell string) {
		t.Helper()
		for _, c := range cell {
			require.False(t, unicode.In(c, unicode.Bidi_Control) || unicode.IsControl(c) || c == '\u200b', "%q", cell)
		}
	}
	for _, l := range words.Languages {
		path := "/o/" + h.short + "/periods/" + h.spec.Name + "/2026-10/vouchers/vouchers."
		res := kari.get(path+"csv", "Accept-Language", string(l))
		require.Contains(t, res.Header.Get("Content-Disposition"), "attachment")
		r := csv.NewReader(strings.NewReader(strings.TrimPrefix(res.body, "\ufeff")))
		if l == words.Bokmal {
			r.Comma = ';'
		}
		rows, err := r.ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, len(nasty)+1)
		for _, row := range rows[1:] {
			for i, cell := range row {
				safe(cell)
				if columnNames[i] != "amount" && cell != "" {
					require.NotContains(t, "=+-@\t\r", cell[:1], "%q", cell)
				}
			}
		}
		res = kari.get(path+"xlsx", "Accept-Language", string(l))
		require.Equal(t, http.StatusOK, res.StatusCode)
		z, err := zip.NewReader(strings.NewReader(res.body), int64(len(res.body)))
		require.NoError(t, err)
		for _, part := range z.File {
			f, err := part.Open()
			require.NoError(t, err)
			text, err := io.ReadAll(f)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			for _, bad := range []string{"<f>", "<f ", "vbaProject", "externalLink", "<hyperlink"} {
				require.NotContains(t, string(text), bad, part.Name)
			}
		}
		book, err := excelize.OpenReader(strings.NewReader(res.body))
		require.NoError(t, err)
		sheet, err := book.GetRows(book.GetSheetList()[0])
		require.NoError(t, err)
		require.Len(t, sheet, len(nasty)+1)
		for _, row := range sheet {
			for _, cell := range row {
				safe(cell)
			}
		}
	}
}
