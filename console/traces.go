package console

import (
	"net/http"

	"github.com/google/uuid"
)

// traced does an operation in a trace of its own, which goes on in what it starts. That
// something was refused is no error of it.
func (r *request) traced(o operation) (*done, error) {
	ctx, end := r.c.Trace(r.Context(), "console "+o.name, struct{ OrganizationID uuid.UUID }{r.org.ID})
	r.Request = r.WithContext(ctx)
	result, err := o.do(r)
	if err != nil && problemOf(err).Status >= http.StatusInternalServerError {
		end(nil, err)
	} else {
		end(nil, nil)
	}
	return result, err
}
