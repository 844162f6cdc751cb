package adaptertest_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/adapters/adaptertest"
)

// toyVendor is a small vendor with a language of its own:
//
//	POST /login      {"password": …}             → {"token": …}
//	GET  /v1/status                              → {"ok": true}
//	POST /v1/lines   {"lines": [{"key", …}, …]}  → {"stored": [{"key", "id"}, …]}
//	POST /v1/search  {"keys": […], "after": 7}   → {"lines": [{"key", "id", "amount"}, …], "next": 12}
//	POST /v1/notes   {"note": …}                 → {"id": …}
//
// It stores what it gets, twice if it is sent twice.
type toyVendor struct {
	mu       sync.Mutex
	lines    []toyLine
	notes    int
	token    string
	pageSize int
}

type toyLine struct {
	Key     string `json:"key"`
	ID      int    `json:"id,omitempty"`
	Voucher string `json:"voucher,omitempty"`
	Account string `json:"account,omitempty"`
	Amount  string `json:"amount"`
	Text    string `json:"text,omitempty"`
	Date    string `json:"date,omitempty"`
}

const toyPassword = "correct horse battery"

func startToy(pageSize int) adaptertest.Vendor {
	v := &toyVendor{pageSize: cmp.Or(pageSize, 10000), token: "toy-token-" + rand()}
	return adaptertest.Vendor{Handler: v, Count: v.count, Changes: v.changes}
}

func rand() string { return strconv.FormatInt(time.Now().UnixNano(), 36) }

func (v *toyVendor) count(key string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range v.lines {
		if l.Key == key {
			n++
		}
	}
	return n
}

func (v *toyVendor) changes() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.lines) + v.notes
}

func (v *toyVendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var in struct {
		Password, Note string
		Lines          []toyLine
		Keys           []string
		After          int
	}
	body, _ := io.ReadAll(r.Body)
	if len(body) > 0 && json.Unmarshal(body, &in) != nil {
		toyAnswer(w, 400, toyError("bad_json", "this is no JSON"))
		return
	}
	if r.URL.Path != "/login" && r.Header.Get("Authorization") != "Toy "+v.token {
		toyAnswer(w, 401, toyError("who", "log in first"))
		return
	}
	switch r.URL.Path {
	case "/login":
		if in.Password != toyPassword {
			toyAnswer(w, 401, toyError("who", "wrong password"))
			return
		}
		toyAnswer(w, 200, map[string]string{"token": v.token})
	case "/v1/status":
		toyAnswer(w, 200, map[string]bool{"ok": true})
	case "/v1/lines":
		stored := []toyLine{}
		for _, l := range in.Lines {
			l.ID = len(v.lines) + 1
			v.lines, stored = append(v.lines, l), append(stored, l)
		}
		toyAnswer(w, 200, map[string]any{"stored": stored})
	case "/v1/search":
		list, next := []toyLine{}, 0
		for _, l := range v.lines {
			if l.ID <= in.After || !slices.Contains(in.Keys, l.Key) {
				continue
			}
			if len(list) == v.pageSize {
				next = list[len(list)-1].ID
				break
			}
			list = append(list, l)
		}
		toyAnswer(w, 200, map[string]any{"lines": list, "next": next})
	case "/v1/notes":
		v.notes++
		toyAnswer(w, 200, map[string]int{"id": v.notes})
	default:
		toyAnswer(w, 404, toyError("nothing", "there is nothing here"))
	}
}

func toyAnswer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func toyError(code, message string) map[string]any {
	return map[string]any{"error": map[string]string{"code": code, "message": message}}
}
