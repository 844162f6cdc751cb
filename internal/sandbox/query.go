package sandbox

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// equals is the one filter that is known: column eq 'value', joined by or.
var equals = regexp.MustCompile(`^(\w+) eq '((?:[^']|'')*)'(?: or |$)`)

// valuesOf returns the column and the values of a filter. ok is false if it is
// of another kind.
func valuesOf(filter string) (column string, values []string, ok bool) {
	for filter != "" {
		m := equals.FindStringSubmatch(filter)
		if m == nil || column != "" && column != m[1] {
			return "", nil, false
		}
		column, values = m[1], append(values, strings.ReplaceAll(m[2], "''", "'"))
		filter = filter[len(m[0]):]
	}
	return column, values, column != ""
}

var maxPageSize = regexp.MustCompile(`(?:^|[,;]\s*)(?:odata\.)?maxpagesize=(\d+)`)

// pageSize is how many rows a page holds: fewer if the client prefers so.
func (s *Sandbox) pageSize(h http.Header) int {
	if m := maxPageSize.FindStringSubmatch(strings.Join(h.Values("Prefer"), ", ")); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			return min(n, s.options.PageSize)
		}
	}
	return s.options.PageSize
}

// listed answers a query with a page of the rows that it found, and the link to
// the next one. Rows are known by their places, which are in order and serve as
// cursors. at is the path of the collection. It takes $count, $top, $skiptoken
// and the preferred size of a page; $filter and $select are the caller's.
func (c *call) listed(at string, query url.Values, h http.Header, found []int, show func(place int) record) (map[string]any, error) {
	out := map[string]any{}
	found = c.falsify(found)
	if query.Get("$count") == "true" {
		out["@odata.count"] = len(found)
	}
	if top := query.Get("$top"); top != "" {
		n, err := strconv.Atoi(top)
		if err != nil || n < 0 {
			return nil, errors.New("$top cannot be read")
		}
		found = found[:min(n, len(found))]
	}
	n := c.sb.pageSize(h)
	if c.lookUp == SecondPageMissing {
		if query.Get("$skiptoken") != "" {
			return nil, errLost
		}
		n = half(n, len(found))
	}
	if token := query.Get("$skiptoken"); token != "" {
		last, err := strconv.Atoi(token)
		if err != nil {
			return nil, errors.New("$skiptoken cannot be read")
		}
		from, _ := slices.BinarySearch(found, last+1)
		found = found[from:]
	}
	if len(found) > n {
		found = found[:n]
		next := maps.Clone(query)
		next.Set("$skiptoken", strconv.Itoa(found[n-1]))
		out["@odata.nextLink"] = c.origin() + at + "?" + strings.ReplaceAll(next.Encode(), "%24", "$")
	}
	rows := make([]record, len(found))
	for i, place := range found {
		rows[i] = show(place)
	}
	out["value"] = rows
	return out, nil
}

// errLost is that of a page which does not come.
var errLost = errors.New("internal error")

// falsify leaves out of a look-up's answer what its rule says.
func (c *call) falsify(found []int) []int {
	switch c.lookUp {
	case Empty:
		return nil
	case Partial:
		return slices.DeleteFunc(slices.Clone(found), func(int) bool {
			c.passed++
			return c.passed%2 == 0
		})
	}
	return found
}

// half is the size of a page after which as much again is to come.
func half(size, rows int) int { return min(size, max(1, rows/2)) }

// origin is how the sandbox was addressed.
func (c *call) origin() string {
	if c.TLS != nil {
		return "https://" + c.Host
	}
	return "http://" + c.Host
}
