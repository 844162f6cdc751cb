package adapters_test

import (
	"fmt"
	"math/big"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/graphqlserver"
)

// stranger is a connection to a GraphQL server of others.
func stranger(t *testing.T, s *graphqlserver.Server) *adapters.Conn {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	u.Path = "/graphql"
	return &adapters.Conn{
		Client: adapters.NewClient(adapters.ClientOptions{DevHosts: []string{u.Host}}), Adapter: xledger.Name, BaseURL: u,
		Settings: map[string]string{}, Credentials: map[string]string{"token": graphqlserver.Token}, CorrelationID: uuid.NewString(),
	}
}

func someVouchers(n int) (entries []adapters.Entry) {
	for i := range n {
		for j, amount := range []string{"1250.10", "-1250.10"} {
			entries = append(entries, adapters.Entry{
				Key: fmt.Sprintf("%031d%d", i, j), Voucher: fmt.Sprint("V", i), Account: "3000", Amount: amount, Currency: "NOK",
				Text: "Kaffe \"&\" kake\n\\ Ås", Date: time.Date(2026, 10, 15, 0, 0, 0, 0, time.UTC), Dimensions: map[string]string{"glObject1": "17"},
			})
		}
	}
	return entries
}

// Whatever a server calls its types and whichever scalars it has, an export to it
// arrives whole and is found again.
func TestXledgerWithDrawnTypes(t *testing.T) {
	for seed := range uint64(150) {
		s := graphqlserver.New(seed)
		t.Run(fmt.Sprint(seed, s.Types), func(t *testing.T) {
			c := stranger(t, s)
			contract, v := xledger.Adapter{}.Verify(t.Context(), c, adapters.Requirements{Dimensions: []string{"glObject1"}})
			require.Equal(t, classify.Success, v.Class, v)
			require.Empty(t, contract.Differing())
			require.Empty(t, s.Items())
			before := s.Requests()
			require.Less(t, before, 12)
			exportAndFind(t, c, s, contract.Learned)
		})
	}
}

func exportAndFind(t *testing.T, c *adapters.Conn, s *graphqlserver.Server, learned map[string]string) {
	entries := someVouchers(4)
	body, err := xledger.Adapter{}.ExportBody(adapters.Form{Settings: c.Settings, Learned: learned}, entries)
	require.NoError(t, err)
	resp, v := xledger.Adapter{}.Do(t.Context(), c, adapters.Call, body)
	require.Equal(t, classify.Success, v.Class, v)
	require.Equal(t, classify.Done, v.Effect)
	require.Len(t, xledger.Adapter{}.References(entries, resp), len(entries))
	items := s.Items()
	require.Len(t, items, len(entries))
	var sought []adapters.LookupKey
	for i, e := range entries {
		require.Equal(t, e.Key, items[i].ExtIdentifier)
		require.Equal(t, e.Text, items[i].Text)
		require.Equal(t, e.Account, items[i].Account)
		require.Equal(t, "2026-10-15", items[i].PostedDate)
		got, ok := new(big.Rat).SetString(items[i].Amount)
		require.True(t, ok)
		require.Equal(t, e.Amount, got.FloatString(2))
		sought = append(sought, adapters.LookupKey{Key: e.Key})
	}
	found, v := xledger.Adapter{}.Find(t.Context(), c, append(sought, adapters.LookupKey{Key: "not-there"}))
	require.Equal(t, classify.Success, v.Class, v)
	require.Len(t, found, len(entries))
	for _, e := range entries {
		require.True(t, adapters.SameAmount(found[e.Key].Amount, e.Amount), found[e.Key].Amount)
	}
	_, v = xledger.Adapter{}.LateErrors(t.Context(), c, time.Now())
	require.Equal(t, classify.Success, v.Class, v)
}

// Without introspection amounts go as text, and the setting changes that.
func TestXledgerWithoutIntrospection(t *testing.T) {
	arrived := map[string]int{}
	for seed := range uint64(60) {
		s := graphqlserver.New(seed)
		s.NoIntrospection = true
		c := stranger(t, s)
		contract, v := xledger.Adapter{}.Verify(t.Context(), c, adapters.Requirements{})
		require.Equal(t, classify.Success, v.Class, v)
		require.Empty(t, contract.Differing())
		require.Nil(t, contract.Learned)
		require.Contains(t, contract.Checks, adapters.Check{What: "schema", State: adapters.Assumed,
			Found:  "the vendor does not show its schema: " + `introspection is not allowed`,
			Remedy: "nothing, if the first export arrives; if it is refused for its amounts, set settings.amounts to number"})
		for _, amounts := range []string{"text", "number"} {
			body, err := xledger.Adapter{}.ExportBody(adapters.Form{Settings: map[string]string{"amounts": amounts}}, someVouchers(1))
			require.NoError(t, err)
			if _, v := (xledger.Adapter{}).Do(t.Context(), c, adapters.Call, body); v.Class == classify.Success {
				arrived[amounts]++
			}
		}
	}
	require.NotZero(t, arrived["text"])
	require.NotZero(t, arrived["number"])
}
