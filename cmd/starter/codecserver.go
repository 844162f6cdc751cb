package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/secrets"
)

func (a *app) codecServer() *cobra.Command {
	var listen, tokenFile string
	var origins []string
	c := &cobra.Command{
		Use: "codec-server", Short: "Decrypt payloads for the Temporal UI and CLI", Args: noArgs,
		Long: `Decrypts payloads for the Temporal UI and CLI, until it gets SIGTERM or SIGINT. Only
whoever shows the token in --token-file gets an answer, as a bearer token or as the
password of HTTP's basic authentication; user names do not count. Only pages of the
--origin's may ask from a browser.

It decrypts with the keys in $` + codec.FolderVariable + ` and encrypts nothing. Put a
proxy with TLS in front of it where it listens beyond this machine.

  temporal workflow show --codec-endpoint http://127.0.0.1:8082 --codec-auth "Bearer $TOKEN" …`,
		RunE: func(c *cobra.Command, _ []string) error {
			keys, err := codec.FromEnv(os.Getenv)
			if err != nil {
				return usage("%w", err)
			}
			token, err := readToken(tokenFile)
			if err != nil {
				return usage("%w", err)
			}
			server, err := codec.NewServer(codec.ServerOptions{Keys: keys, Token: token, Origins: origins})
			if err != nil {
				return usage("%w", err)
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("--listen: %s; want an address of this machine that is free, such as 127.0.0.1:8234", environ.Cause(err))
			}
			say(c.ErrOrStderr(), "decrypting for %s at http://%s", count(len(origins), "origin"), l.Addr())
			return serve(c.Context(), server, l)
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8082", "`address` to listen on")
	c.Flags().StringSliceVar(&origins, "origin", nil,
		"`origin` of a Temporal UI, such as https://temporal.example.com; may be repeated; $LEDGERLINE_CODEC_ORIGINS, comma-separated")
	c.Flags().StringVar(&tokenFile, "token-file", "",
		"`path` of the file with the token, which others must not be able to read; $LEDGERLINE_CODEC_TOKEN_FILE")
	return c
}

// readToken reads the token by the rules of secrets: its file is in a folder like any. What
// is no path is not repeated, because somebody may have given the token itself.
func readToken(path string) (string, error) {
	const variable = "--token-file (or LEDGERLINE_CODEC_TOKEN_FILE)"
	if path == "" {
		return "", errors.New(variable + " is missing: want the file with the token, by its absolute path; make one with openssl rand -hex 32")
	}
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return "", errors.New(variable + ": want the absolute path of a file, such as /etc/ledgerline/codec-token")
	}
	token, err := secrets.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s: there is no file %s; make one with openssl rand -hex 32, and chmod it to 0600", variable, path)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%s: this user may not read %s; give it the right to, or run as its owner", variable, path)
	case err != nil:
		return "", fmt.Errorf("%s: %s: %w", variable, path, err)
	}
	return token, nil
}

// serve serves until ctx ends, and then finishes what it has begun.
func serve(ctx context.Context, server *http.Server, l net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(within)
}
