package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
)

// lines are two entries of one voucher.
func lines() []adapters.Entry {
	of := func(key, amount string) adapters.Entry {
		return adapters.Entry{Key: strings.Repeat(key, 32), Voucher: "1", Account: "3000", Amount: amount, Currency: "NOK", Text: "a text", Date: time.Unix(1.8e9, 0).UTC()}
	}
	return []adapters.Entry{of("a", "1.00"), of("b", "-1.00")}
}

// accepted are the answers by which a vendor accepts lines and gives the first one a
// name, and shows it when it is asked.
func accepted(adapter, name string) (sent, found []byte) {
	l, name := lines(), quoted(name)
	switch adapter {
	case "xledger":
		return answer(200, fmt.Sprintf(`{"data":{"addGLImportItems":{"edges":[{"clientId":"1","node":{"dbId":"%s"}},{"clientId":2,"node":{"dbId":77}}]}}}`, name)),
			answer(200, fmt.Sprintf(`{"data":{"glImportItems":{"edges":[{"cursor":"1","node":{"dbId":"%[1]s","extIdentifier":"%[2]s","amount":"%[1]s"}}],"pageInfo":{"hasNextPage":false}}}}`, name, l[0].Key))
	case "businesscentral":
		return answer(200, fmt.Sprintf(`{"responses":[{"id":"0","status":201,"body":{"id":"%s","externalDocumentNumber":"%s"}},{"id":"1","status":201,"body":{"id":"77","externalDocumentNumber":"%s"}}]}`, name, l[0].Key, l[1].Key)),
			answer(200, fmt.Sprintf(`{"value":[{"id":"%s","externalDocumentNumber":"%s","amount":1}]}`, name, l[0].Key))
	}
	part := "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
	for n := range l {
		part += fmt.Sprintf("--c\r\nContent-Type: application/http\r\nContent-ID: %d\r\n\r\nHTTP/1.1 204 No Content\r\nOData-EntityId: http://x/rows(%s)\r\n\r\n\r\n", n+1, strings.ReplaceAll(name, `\`, ""))
	}
	part += "--c--\r\n--b--\r\n"
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(part), part),
		answer(200, fmt.Sprintf(`{"value":[{"acme_key":"%s","acme_rowid":"%s","acme_amount":1}]}`, l[0].Key, name))
}

// A vendor's name of an entry passes what its messages pass; one that is harmless
// stays as it is, so that people find it there. Case 5 of the attacks.
func TestReferencesAreMasked(t *testing.T) {
	guid := uuid.NewString()
	for _, adapter := range vendors.Names() {
		t.Run(adapter, func(t *testing.T) {
			c := newCareless(t, adapter, random(26), random(40))
			for _, name := range []string{
				"25023441", "W/\"JzQ0\"", guid,
				c.secret, c.token, strings.Repeat("€", 480) + c.secret, strings.Repeat("x", 4<<10-13) + c.secret,
				"\x1b]0;owned\a", "\x1b]8;;http://x\a1", "1\u202e2", "1\u2066", "1\u200b2", "1\x00", "1\r\nforged row", "1\u0085", strings.Repeat("9", 10000), "kari@example.com",
			} {
				sent, found := accepted(adapter, name)
				x := Adapters()[adapter].(adapters.Exporter)
				body, err := x.ExportBody(adapters.Form{Settings: c.spec.Settings}, lines())
				require.NoError(t, err)
				c.says(sent, c.granted())
				_, references, v := sendEntries(t.Context(), x, c.conn(t), body, lines())
				c.says(found, c.granted())
				there, w := find(t.Context(), x, c.conn(t), []adapters.LookupKey{{Key: lines()[0].Key, Voucher: "1"}})
				require.Equal(t, classify.Success, w.Class, w.Message)
				require.Equal(t, 1, there[lines()[0].Key].Count)
				for _, kept := range []string{references[lines()[0].Key], there[lines()[0].Key].Reference, there[lines()[0].Key].Amount} {
					require.Empty(t, leaks(kept, c.secret, c.token), "%q", name)
					require.NotContains(t, kept, "kari")
					require.LessOrEqual(t, utf8.RuneCountInString(kept), 500+len(changedMark))
					require.False(t, strings.ContainsFunc(kept, func(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }), "%q", kept)
				}
				harmless := adapter != "dataverse" && (name == "25023441" || name[0] == 'W') || name == guid
				if harmless {
					require.Equal(t, classify.Done, v.Effect, v.Message)
					require.Equal(t, name, references[lines()[0].Key])
					require.Equal(t, name, there[lines()[0].Key].Reference)
				} else if kept := references[lines()[0].Key]; kept != "" {
					require.True(t, strings.HasSuffix(kept, changedMark), "%q", kept)
				}
			}
		})
	}
}

// An error under a name that masking changes is nobody's: what is kept of two such
// names may be the same.
func TestLateErrorsAreMatchedByNamesThatAreKept(t *testing.T) {
	c := newCareless(t, "xledger", random(26), "")
	node := `{"cursor":"1","node":{"dbId":"1","createdAt":"2026-11-23T10:00:00","message":"%s","errorLevel":{"code":"ERROR"},"transactionDbId":"%s"}}`
	c.says(answer(200, `{"data":{"glImportItemErrors":{"edges":[`+fmt.Sprintf(node, "locked "+c.secret, "25023441")+","+fmt.Sprintf(node, "x", c.secret)+","+
		fmt.Sprintf(node, "x", `1\u202e`)+`],"pageInfo":{"hasNextPage":false}}}}`), nil)
	list, unnamed, v := findLateErrors(t.Context(), Adapters()["xledger"].(adapters.Exporter), c.conn(t), time.Now())
	require.Equal(t, classify.Success, v.Class, v.Message)
	require.Equal(t, 2, unnamed)
	require.Len(t, list, 1)
	require.Equal(t, []string{"25023441", "locked [REDACTED]"}, []string{list[0].Reference, list[0].Message})
}

// What a vendor says of late errors is bounded, however much it is.
func TestLateErrorsAreBounded(t *testing.T) {
	c := newCareless(t, "xledger", random(26), "")
	edge := `{"cursor":"1","node":{"dbId":"1","createdAt":"2026-11-23T10:00:00","message":"x","errorLevel":{"code":"ERROR"},"transactionDbId":"25023441"}}`
	c.says(answer(200, `{"data":{"glImportItemErrors":{"edges":[`+strings.Repeat(edge+",", 500)+edge+`],"pageInfo":{"hasNextPage":false}}}}`), nil)
	x := Adapters()["xledger"].(adapters.Exporter)
	list, _, v := findLateErrors(t.Context(), x, c.conn(t), time.Now())
	require.Equal(t, classify.Untrusted, v.Kind, v.Message)
	require.Empty(t, list)

	c.says(answer(200, `{"data":{"glImportItemErrors":{"edges":[`+edge+`],"pageInfo":{"hasNextPage":false}}}}`), nil)
	list, _, v = findLateErrors(t.Context(), x, c.conn(t), time.Now())
	require.Equal(t, classify.Success, v.Class, v.Message)
	require.Len(t, list, 1)
}

// The cross product of what exports ask, and what a vendor may say to it.
func TestNoPartOfASecretIsKeptOfExports(t *testing.T) {
	for _, adapter := range vendors.Names() {
		t.Run(adapter, func(t *testing.T) {
			t.Parallel()
			c := newCareless(t, adapter, random(26), random(60))
			secrets := []string{c.secret, c.token}
			x := Adapters()[adapter].(adapters.Exporter)
			body, err := x.ExportBody(adapters.Form{Settings: c.spec.Settings}, lines())
			require.NoError(t, err)
			sought := []adapters.LookupKey{{Key: lines()[0].Key, Voucher: "1"}, {Key: lines()[1].Key, Voucher: "1"}}
			asked := map[string]func(context.Context, *adapters.Conn) (any, classify.Verdict){
				"send": func(ctx context.Context, conn *adapters.Conn) (any, classify.Verdict) {
					_, names, v := sendEntries(ctx, x, conn, body, lines())
					return names, v
				},
				"find": func(ctx context.Context, conn *adapters.Conn) (any, classify.Verdict) {
					return anyOf(find(ctx, x, conn, sought))
				},
				"late errors": func(ctx context.Context, conn *adapters.Conn) (any, classify.Verdict) {
					list, _, v := findLateErrors(ctx, x, conn, time.Now())
					return list, v
				},
				"verify": func(ctx context.Context, conn *adapters.Conn) (any, classify.Verdict) {
					return anyOf(verifyVendor(ctx, x, conn, adapters.Requirements{}))
				},
			}
			all := places(x.Vendor().Codes.Dialect)
			before := paddings(c.secret)
			for _, padding := range []string{"none", "325 of three bytes", "287 letters", "987 letters"} {
				for _, place := range slices.Sorted(maps.Keys(all)) {
					c.says(all[place](before[padding]+strings.Join(secrets, " ")+" and so on"), c.granted())
					for what, ask := range asked {
						kept, v := ask(t.Context(), c.conn(t))
						encoded, err := json.Marshal(kept)
						require.NoError(t, err)
						if part := leaks(string(encoded)+v.Message, secrets...); part != "" {
							t.Errorf("%s: %s, behind %s: %q of a secret is kept", what, place, padding, part)
						}
						require.Empty(t, v.Parts)
					}
				}
			}
		})
	}
}

func anyOf[T any](kept T, v classify.Verdict) (any, classify.Verdict) { return kept, v }
