package tracing

import (
	"reflect"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"github.com/ledgerline/ledgerline/activities"
)

// attributesOf are what inputs of workflows and activities are about. They name it alike: in
// fields of their own, or of their export, their key or their first run.
func attributesOf(inputs ...any) (list []attribute.KeyValue) {
	for _, in := range inputs {
		v := reflect.Indirect(reflect.ValueOf(in))
		for _, f := range []struct {
			name string
			key  attribute.Key
		}{{"OrganizationID", organizationKey}, {"IntegrationID", integrationKey}, {"CorrelationID", correlationKey}} {
			if id, ok := field(v, f.name).(uuid.UUID); ok && id != uuid.Nil {
				list = append(list, f.key.String(id.String()))
			}
		}
		if name, ok := field(v, "AdapterName").(string); ok && name != "" {
			list = append(list, adapterKey.String(activities.AdapterLabel(name)))
		}
	}
	return list
}

// field is the value of a field, nil if there is none.
func field(v reflect.Value, name string) any {
	if v.Kind() != reflect.Struct {
		return nil
	}
	if f := v.FieldByName(name); f.IsValid() {
		return f.Interface()
	}
	for _, inside := range []string{"Export", "Key", "Runs"} {
		f := v.FieldByName(inside)
		if f.IsValid() && f.Kind() == reflect.Slice && f.Len() > 0 {
			f = f.Index(0)
		}
		if f.IsValid() && f.Kind() == reflect.Struct {
			return field(f, name)
		}
	}
	return nil
}
