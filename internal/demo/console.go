package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// startConsole starts a console, on which everybody at this machine is an administrator of all
// organizations, and prints its address. stop ends it.
func (d *demo) startConsole(ctx context.Context, stack *devstack.Stack) (stop func(), err error) {
	bin, err := devstack.Build(ctx, "./cmd/console", false)
	if err != nil {
		return nil, err
	}
	c, err := devstack.StartConsole(ctx, bin, stack.Env(devstack.Console))
	if err != nil {
		os.RemoveAll(filepath.Dir(bin))
		return nil, err
	}
	d.consoleURL = c.URL
	fmt.Fprintf(d.out, "  console      %s, without sign-in, for this machine only\n", c.URL)
	return func() {
		_ = c.Stop(15 * time.Second)
		os.RemoveAll(filepath.Dir(bin))
	}, nil
}

// look asks the console for the organizations that it shows: the demo's is one of them.
func (d *demo) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.consoleURL+"/api/v1/organizations", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var list struct {
		Organizations []struct {
			ID uuid.UUID `json:"organizationId"`
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return fmt.Errorf("%s: %w", answer.Status, err)
	}
	for _, o := range list.Organizations {
		if o.ID.String() == d.organization {
			fmt.Fprintf(d.out, "\nwhat people see of it, in Norwegian or English: %s/o/%s\n", d.consoleURL, d.organization)
			return nil
		}
	}
	return fmt.Errorf("the console shows %d organizations, and not the demo's", len(list.Organizations))
}
