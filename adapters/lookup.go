package adapters

import "github.com/ledgerline/ledgerline/classify"

// SplitLookup returns the groups of keys that a look-up takes, a request for each, of
// at most size keys. Those that are known to be there are in every one.
func SplitLookup(sought []LookupKey, size int) (groups [][]LookupKey) {
	var known, others []LookupKey
	for _, s := range sought {
		if s.Known {
			known = append(known, s)
		} else {
			others = append(others, s)
		}
	}
	for room := max(1, size-len(known)); ; {
		n := min(room, len(others))
		group := append(append(make([]LookupKey, 0, n+len(known)), others[:n]...), known...)
		if len(group) > 0 {
			groups = append(groups, group)
		}
		if others = others[n:]; len(others) == 0 {
			return groups
		}
	}
}

// MergeLookup puts the answers to the requests of a look-up together. A record that is
// known to be there and shows in some of them only proves that the others are not
// to be trusted; then the verdict says so, and ok is false. It is counted as in the
// answer that shows it most often: every request asks for it.
func MergeLookup(groups [][]LookupKey, answers []map[string]LookupResult) (found map[string]LookupResult, v classify.Verdict, ok bool) {
	found = make(map[string]LookupResult)
	for i, group := range groups {
		for _, s := range group {
			if s.Known && (answers[i][s.Key].Count > 0) != (answers[0][s.Key].Count > 0) {
				return nil, classify.NewVerdict(classify.Untrusted, "lookup:control", "a part of the look-up does not show entry "+s.Key+", which another part shows"), false
			}
		}
		for key, f := range answers[i] {
			if f.Count > found[key].Count {
				found[key] = f
			}
		}
	}
	return found, v, true
}
