package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// output is written by a command that runs, and read meanwhile.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// The codec server reads its keys and its token from files, answers with the token only, and
// ends when it is asked to.
func TestCodecServer(t *testing.T) {
	secret := func() string {
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		return hex.EncodeToString(b)
	}
	folder, key, token := t.TempDir(), secret(), secret()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	write("keys/a", key, 0o600)
	good := write("token", token, 0o600)
	t.Setenv("LEDGERLINE_PAYLOAD_KEYS", filepath.Join(folder, "keys"))
	t.Setenv("LEDGERLINE_CODEC_ORIGINS", "http://localhost:8233, https://temporal.example.com")
	for path, says := range map[string]string{
		"":                                 "is missing: want the file with the token",
		"token":                            "want the absolute path of a file",
		filepath.Join(folder, "none"):      "there is no file " + filepath.Join(folder, "none"),
		folder:                             "is a folder and not a regular file",
		write("open", token, 0o644):        "run chmod o=",
		write("short", token[:31], 0o600):  "the token has 31 characters; want at least 32",
		write("two", "a\n"+token, 0o600):   "has a line break",
		write("blank", " "+token, 0o600):   "begins or ends with a blank",
		write("binary", "\xff\xfe", 0o600): "is not UTF-8",
	} {
		var words output
		require.Equal(t, exitUsage, run(t.Context(), []string{"codec-server", "--token-file", path}, nil, &words, &words), path)
		require.Contains(t, words.String(), says)
		require.NotContains(t, words.String(), token[:31])
	}

	t.Setenv("LEDGERLINE_CODEC_TOKEN_FILE", good)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var words output
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"codec-server", "--listen", "127.0.0.1:0"}, nil, &words, &words) }()
	at := regexp.MustCompile(`decrypting for 2 origins at (http://\S+)`)
	require.Eventually(t, func() bool { return at.MatchString(words.String()) }, 10*time.Second, time.Millisecond, words.String())
	for password, want := range map[string]int{"": 401, key: 401, token: 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.FindStringSubmatch(words.String())[1]+"/", nil)
		require.NoError(t, err)
		r.SetBasicAuth("x", password)
		r.Header.Set("Origin", "https://temporal.example.com")
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		answer.Body.Close()
		require.Equal(t, want, answer.StatusCode)
	}
	cancel()
	require.Equal(t, exitOK, <-ended)
	require.False(t, strings.Contains(words.String(), token) || strings.Contains(words.String(), key))
}
