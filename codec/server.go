package codec

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// Limits of the server: a page of a history is below them.
const (
	maxBody      = 16 << 20 // bytes
	maxPayloads  = 10_000
	readWithin   = 10 * time.Second
	answerWithin = 30 * time.Second
	minToken     = 32 // characters
)

// ServerOptions are what a codec server needs.
type ServerOptions struct {
	Keys    *Keys
	Token   string   // of at least 32 characters
	Origins []string // of Temporal UIs, such as https://temporal.example.com; exact
}

// NewServer returns a server that decrypts payloads for the Temporal UI and CLI, by their
// protocol: POST …/decode with payloads as JSON. It encrypts nothing, so it can make no
// payload that a worker takes for ours.
//
// Who asks shows the token: as a bearer, or as the password of HTTP's basic authentication,
// which a browser asks for once, at GET /, and then sends with the UI's requests. A page of
// another origin than those that are allowed gets no answer that it can read.
func NewServer(o ServerOptions) (*http.Server, error) {
	var errs []error
	if len(o.Keys.IDs()) == 0 {
		errs = append(errs, fmt.Errorf("there is no key: set %s", FolderVariable))
	}
	if len(o.Token) < minToken {
		errs = append(errs, fmt.Errorf("the token has %d characters; want at least %d: make one with openssl rand -hex 32",
			len(o.Token), minToken))
	}
	for _, origin := range o.Origins {
		if !isOrigin(origin) {
			errs = append(errs, fmt.Errorf("origin %q: want scheme, host and port of the Temporal UI as the browser shows them, "+
				"such as https://temporal.example.com", origin))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s := &server{keys: o.Keys, origins: o.Origins, token: sha256.Sum256([]byte(o.Token))}
	return &http.Server{
		Handler: http.MaxBytesHandler(s, maxBody), ReadHeaderTimeout: readWithin, ReadTimeout: readWithin, WriteTimeout: answerWithin,
		IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
	}, nil
}

// isOrigin reports whether a text is an origin as browsers write them.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.Scheme+"://"+u.Host == text &&
		strings.ToLower(text) == text && !strings.Contains(text, "*")
}

type server struct {
	keys    *Keys
	origins []string
	token   [sha256.Size]byte
}

// ServeHTTP implements [http.Handler].
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin != "" {
		if !slices.Contains(s.origins, origin) {
			http.Error(w, "this origin is not allowed", http.StatusForbidden)
			return
		}
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Credentials", "true")
	}
	decode := r.URL.Path == "/decode" || strings.HasSuffix(r.URL.Path, "/decode")
	switch {
	case r.Method == http.MethodOptions && decode && origin != "":
		header.Set("Access-Control-Allow-Methods", "POST")
		header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace, X-CSRF-Token")
		header.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	case !s.authorized(r):
		header.Set("WWW-Authenticate", `Basic realm="Ledgerline codec server", charset="UTF-8"`)
		http.Error(w, "want the token, as a bearer or as a password", http.StatusUnauthorized)
	case r.Method == http.MethodGet && r.URL.Path == "/":
		fmt.Fprintln(w, "signed in: the Temporal UI can decrypt payloads in this browser")
	case !decode:
		http.NotFound(w, r)
	case r.Method != http.MethodPost:
		header.Set("Allow", "POST, OPTIONS")
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
	default:
		s.decode(w, r)
	}
}

// authorized compares hashes, in a time that does not depend on what was sent.
func (s *server) authorized(r *http.Request) bool {
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		_, shown, ok = r.BasicAuth()
	}
	sum := sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1 && ok
}

func (s *server) decode(w http.ResponseWriter, r *http.Request) {
	// A form of another site can be sent without a preflight, JSON cannot.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		http.Error(w, "want Content-Type: application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		http.Error(w, fmt.Sprintf("want at most %d bytes", maxBody), http.StatusRequestEntityTooLarge)
		return
	}
	var in common.Payloads
	if err != nil || protojson.Unmarshal(body, &in) != nil || len(in.GetPayloads()) > maxPayloads {
		http.Error(w, fmt.Sprintf("want JSON with at most %d payloads", maxPayloads), http.StatusBadRequest)
		return
	}
	decoded, err := s.keys.Decode(in.GetPayloads())
	if err != nil { // it names the key and nothing else
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := protojson.Marshal(&common.Payloads{Payloads: decoded})
	if err != nil {
		http.Error(w, "a payload cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
}
