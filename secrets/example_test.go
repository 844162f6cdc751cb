package secrets_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/secrets"
)

func Example() {
	dir, err := os.MkdirTemp("", "secrets-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	organization, other := uuid.New(), uuid.New()
	for _, o := range []uuid.UUID{organization, other} {
		if err := os.Mkdir(filepath.Join(dir, o.String()), 0o700); err != nil {
			panic(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, organization.String(), "token"), []byte("an example\n"), 0o600); err != nil {
		panic(err)
	}
	store := &secrets.Store{Dir: dir}
	fmt.Println(store.Resolve(context.Background(), organization, "file:token"))
	_, err = store.Resolve(context.Background(), other, "file:token")
	fmt.Println(strings.ReplaceAll(err.Error(), other.String(), "OTHER"))
	// Output:
	// an example <nil>
	// file:token: there is no file $LEDGERLINE_SECRETS/OTHER/token
}
