package environ_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/environ"
)

func TestHide(t *testing.T) {
	password := strings.Join([]string{"hun", "ter", "2"}, "")
	t.Setenv("DATABASE_URL", "postgres://anna:"+password+"@db.internal:5432/books?sslpassword=k%20ey5&sslmode=require")
	t.Setenv("TEMPORAL_ADDRESS", "temporal.internal:7233")
	t.Setenv("TEMPORAL_NAMESPACE", "default")
	t.Setenv("LEDGERLINE_ACTOR", "kå\nri")
	t.Setenv("PGPASSWORD", "s3cond")
	t.Setenv("HOME", "/home/anna")
	t.Setenv("LEDGERLINE_LISTEN", ":8080")
	t.Setenv("TEMPORAL_PROFILE", "prod")
	for text, want := range map[string]string{
		"password " + password + " is wrong, or k ey5": "password $DATABASE_URL is wrong, or $DATABASE_URL",
		"by kå\nri, by \"kå\\nri\", s3cond":            "by $LEDGERLINE_ACTOR, by \"$LEDGERLINE_ACTOR\", $PGPASSWORD",
		"the default of books at anna's, /home/anna":   "the default of books at anna's, /home/anna",
		"prod, production, prod_1, eprod, prod.":       "$TEMPORAL_PROFILE, production, prod_1, eprod, $TEMPORAL_PROFILE.",
		"[::]:8080":                                    "[::]:8080",
		"temporal.internal:7233 is away":               "$TEMPORAL_ADDRESS is away",
	} {
		require.Equal(t, want, environ.Hide(text))
	}
	for text, want := range map[string]string{
		"lookup temporal.internal: no such host":                   "lookup $TEMPORAL_ADDRESS: no such host",
		"user anna, database books, db.internal:5432, db.internal": "user $DATABASE_URL, database $DATABASE_URL, $DATABASE_URL, $DATABASE_URL",
		"the default of it, require":                               "the default of it, require",
	} {
		require.Equal(t, want, environ.Cause(errors.New(text)))
	}
	t.Setenv("DATABASE_URL", "host=db.internal user=anna password='"+password+"'")
	require.Equal(t, "anna $DATABASE_URL", environ.Hide("anna "+password))
	require.Equal(t, "$DATABASE_URL $DATABASE_URL", environ.Cause(errors.New("anna db.internal")))
}
