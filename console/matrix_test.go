package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
)

// asked is a request of the table of routes.
type asked struct {
	name   string
	role   signin.Role
	method string
	path   string // with {names}
	api    bool
}

// everything is every route of an organization, from the table, so that a new one is covered.
func everything() (list []asked) {
	for _, v := range views {
		list = append(list, asked{v.name, v.role, http.MethodGet, pagePath + v.path, false})
		if v.api != "" {
			list = append(list, asked{v.name, v.role, http.MethodGet, apiPath + v.api, true})
		}
	}
	for _, o := range operations {
		list = append(list, asked{o.name, o.role, http.MethodPost, pagePath + o.path, false})
		if o.api != "" {
			list = append(list, asked{o.name, o.role, http.MethodPost, apiPath + o.api, true})
		}
	}
	for _, file := range []string{"vouchers.csv", "vouchers.xlsx"} {
		list = append(list, asked{"download", viewer, http.MethodGet, pagePath + "/periods/{integration}/{period}/vouchers/" + file, false},
			asked{"download", viewer, http.MethodGet, apiPath + "/periods/{integration}/{period}/vouchers/" + file, true})
	}
	return list
}

// things are what paths of a house name.
type things map[string]string

var parameter = regexp.MustCompile(`\{([a-z]+)\}`)

func (a asked) fill(organization string, of things) string {
	return parameter.ReplaceAllStringFunc(a.path, func(p string) string {
		name := strings.Trim(p, "{}")
		if name == "organization" {
			return organization
		}
		return url.PathEscape(of[name])
	})
}

// furnish gives a house one of each thing.
func furnish(h *house, s *site) things {
	h.store("e1 "+h.short+"-v1 2026-10-05 1920 100.00 Kontingent "+h.short, "e2 "+h.short+"-v1 2026-10-05 3000 -100.00 Kontingent "+h.short,
		"e3 "+h.short+"-v2 2026-10-06 1920 7.00 Gave "+h.short, "e4 "+h.short+"-v2 2026-10-06 X999 -7.00 Gave "+h.short)
	h.export("2026-10", map[string]string{h.short + "-v2": "account.code: No value matching " + h.short})
	res := s.signedIn("uploader "+h.short, groupOf(h, finance)).drop("/o/"+h.short+"/uploads", h.short+".csv", "entry_id,voucher_id,entry_date,account,amount,currency,text\nu1,uv1,2026-11-02,1920,1.00,NOK,"+h.short+"\n")
	require.Equal(h.t, http.StatusSeeOther, res.StatusCode, res.body)
	upload := regexp.MustCompile(`/uploads/([0-9a-f-]{36})`).FindStringSubmatch(res.Header.Get("Location"))
	require.NotNil(h.t, upload)
	j := &job{id: uuid.New(), organization: h.org, integration: nameOf(h.spec), period: "2026-10", began: time.Now()}
	_, ok := s.console.jobs.begin(j, func(context.Context, *job) {})
	require.True(h.t, ok)
	ended := time.Now()
	j.mu.Lock()
	j.ended = &ended
	j.mu.Unlock()
	return things{"integration": h.spec.Name, "period": "2026-10", "voucher": h.short + "-v2", "upload": upload[1], "job": j.id.String(), "call": uuid.NewString()}
}

// Every route × every role × the own organization and another's: who may not is refused, and
// learns nothing; and nobody reaches a thing of one organization by the address of another.
func TestEveryRouteEveryRoleEveryOrganization(t *testing.T) {
	mine, others := newHouse(t, "alpha"), newHouse(t, "beta")
	s := newSite(t, nil, mine, others)
	s.console.limits.all = map[string]*limiter{}
	own, foreign := furnish(mine, s), furnish(others, s)
	people := map[signin.Role]*person{"": {s, ""}}
	for _, role := range signin.Roles {
		people[role] = s.signedIn("kari "+string(role), groupOf(mine, role))
	}
	stranger := s.signedIn("ola", groupOf(others, administrator))
	ask := func(p *person, a asked, path string) answer {
		s.console.limits.mu.Lock()
		clear(s.console.limits.all)
		s.console.limits.mu.Unlock()
		switch {
		case a.method == http.MethodGet:
			return p.get(path)
		case a.name == "store":
			return p.drop(path, "x.csv", "entry_id,voucher_id\n")
		case a.api:
			return p.send(path, "{}", uuid.NewString())
		}
		return p.post(path, nil)
	}
	// A page has its own address in it, to come back to: what somebody typed is no secret.
	leaks := func(res answer, secret string) bool {
		body := strings.ReplaceAll(res.body, res.Request.URL.RequestURI(), "")
		for p := res.Request.URL.EscapedPath(); strings.Count(p, "/") > 2; p = p[:strings.LastIndex(p, "/")] {
			body = strings.ReplaceAll(body, p, "")
		}
		return strings.Contains(body, secret)
	}
	for _, a := range everything() {
		t.Run(fmt.Sprintf("%s %s", a.method, a.path), func(t *testing.T) {
			for role, p := range people {
				res := ask(p, a, a.fill(mine.short, own))
				switch {
				case role == "" && (a.api || a.method == http.MethodPost):
					require.Equal(t, http.StatusUnauthorized, res.StatusCode, res.body)
					require.False(t, leaks(res, "alpha-main"))
				case role == "":
					require.Equal(t, http.StatusSeeOther, res.StatusCode)
					require.Contains(t, res.Header.Get("Location"), signin.BeginPath)
				case !role.Allows(a.role):
					require.Equal(t, http.StatusForbidden, res.StatusCode, res.body)
					require.False(t, leaks(res, "alpha-main"))
				default:
					require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError}, res.StatusCode, res.body)
					if a.name != "call" && a.name != "again" && a.name != "import" { // there is no call, and the one import takes the file
						require.NotEqual(t, http.StatusNotFound, res.StatusCode, "%s: %s", role, res.body)
					}
				}
				if role != "" && a.api && res.StatusCode >= 400 {
					require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
					var p problem
					require.NoError(t, json.Unmarshal([]byte(res.body), &p))
					require.Equal(t, res.StatusCode, p.Status)
				}
			}
			// Somebody of another organization, by its short name and its ID.
			for _, which := range []string{mine.short, mine.org.String()} {
				res := ask(stranger, a, a.fill(which, own))
				require.Equal(t, http.StatusNotFound, res.StatusCode, res.body)
				require.False(t, leaks(res, "alpha-main"), res.body)
			}
			// Things of another organization in the own one.
			if strings.Contains(strings.ReplaceAll(a.path, "{organization}", ""), "{") {
				for _, things := range []things{foreign, {"integration": others.spec.ID.String(), "period": "2026-10", "voucher": foreign["voucher"], "upload": foreign["upload"], "job": foreign["job"], "call": foreign["call"]}} {
					res := ask(people[administrator], a, a.fill(mine.short, things))
					require.True(t, slices.Contains([]int{http.StatusNotFound, http.StatusBadRequest, http.StatusConflict}, res.StatusCode), "%d %s", res.StatusCode, res.body)
					require.False(t, leaks(res, "beta-main") || leaks(res, "gave "+others.short), res.body)
				}
			}
		})
	}
}
