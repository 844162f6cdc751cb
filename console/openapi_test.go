package console

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/attention"
	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/proof"
)

var update = flag.Bool("update", false, "write openapi.json")

// object is a JSON object of the document; members are sorted when it is written.
type object map[string]any

// summaries say what each route of the API does. A new route needs one.
var summaries = map[string]string{
	"overview": "Integrations and what their last periods came to", "period": "A period: its exports and its vouchers", "preview": "What an export of the period would do now",
	"voucher": "A voucher as it is stored, where it went, and what people changed of it", "check": "How far a check at the vendor is, and what it found",
	"upload": "How a stored file is read, and what importing it would do", "attention": "What needs a person", "calls": "Attempts on record, the newest first", "call": "A call and its trail",
	"history": "What people did, the newest first", "integration": "An integration: how it is, and what it exported",
	"retry": "Send again what the period's exports did not export", "export": "Start the export of the period", "prove": "Ask the vendor about everything that the period has sent",
	"resolve": "Record what became of a voucher whose outcome could not be found out", "store": "Store a file for an hour, to be looked at and imported", "import": "Import a stored file, all of it or nothing",
	"correct": "Replace lines of a voucher that no vendor has", "withdraw": "Take a voucher that no vendor has out of what is exported", "acknowledge": "Record that somebody takes care of a thing that needs a person",
	"again": "Make a failed call again, as a new one", "pause": "Stop an integration's calls, exports and probes", "resume": "End a pause",
}

// queries are the parameters of addresses.
var queries = map[string]object{
	"search": text(200, "Part of what is looked for, whatever the case"), "after": text(1000, "The member next of the page before; without it the first page"),
	"state": {"type": "array", "items": object{"type": "string", "enum": exports.Outcomes}, "description": "Only vouchers of these states; none are all"},
	"limit": {"type": "integer", "minimum": 1, "maximum": mostOnPage, "default": vouchersOnPage, "description": "Most vouchers of the page"},
	"class": {"type": "string", "enum": classes, "description": "Only attempts that ended so"}, "integration": text(100, "Only those of an integration, by its name or ID"),
	"from": {"type": "string", "format": "date", "description": "First day, Europe/Oslo"}, "to": {"type": "string", "format": "date", "description": "Last day, Europe/Oslo"},
	"columnsOf": text(100, "The integration that names the file's columns"), "decimalSign": {"type": "string", "enum": []string{",", "."}}, "dateOrder": {"type": "string", "enum": []string{"dmy", "mdy"}},
	"sheet": text(200, "Of a workbook"), "idFrom": text(1000, "Columns of which entry IDs are made, with commas"), "replace": {"type": "boolean", "description": "Entries that are stored with other contents are replaced"},
	"repeated": {"type": "boolean", "description": "Lines that are stored already with another ID are taken"},
	"adopted":  {"type": "boolean", "description": "What was taken over from the vendor, if the period has an export too"},
	"import":   text(200, "What an import answers as its import: where its entries go is in coming"),
}

// names are what paths name.
var names = map[string]object{
	"organization": text(100, "An organization, by its short name or ID"), "integration": text(100, "An integration, by its name or ID"), "period": text(30, "Such as 2026-10, 2026-W44 or 2026-10-31"),
	"voucher": text(1000, "A voucher, by its ID"), "job": {"type": "string", "format": "uuid"}, "upload": {"type": "string", "format": "uuid"}, "call": {"type": "string", "format": "uuid"},
	"file": {"type": "string", "enum": []string{"vouchers.csv", "vouchers.xlsx"}},
}

// enumerated are types with a few values.
var enumerated = map[reflect.Type]any{
	reflect.TypeFor[exports.Outcome](): exports.Outcomes, reflect.TypeFor[exports.ChainState](): append(slices.Clone(exports.ChainStates), noExport), reflect.TypeFor[signin.Role](): signin.Roles, reflect.TypeFor[attention.Kind](): attention.Kinds(),
	reflect.TypeFor[exports.PeriodKind](): []exports.PeriodKind{exports.ByMonth, exports.ByWeek, exports.ByDay}, reflect.TypeFor[exports.Status](): []exports.Status{exports.Pending, exports.Complete, exports.Failed},
	reflect.TypeFor[exports.Trigger](): []exports.Trigger{exports.BySchedule, exports.ByHand, exports.ByBackfill, exports.ByRetry, exports.ByAdopting},
	reflect.TypeFor[cellState]():       []cellState{cellMissed, cellFailed, cellUnknown, cellRefused, cellWaiting, cellArrived, cellEmpty, cellNone},
}

// refusals are the statuses of problems.
var (
	ofAll        = []int{http.StatusUnauthorized, http.StatusInternalServerError, http.StatusServiceUnavailable}
	ofViews      = append([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity}, ofAll...)
	ofOperations = append([]int{http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusTooManyRequests}, ofViews...)
)

func text(most int, says string) object {
	return object{"type": "string", "maxLength": most, "description": says}
}

// document is the description of the API while it is made.
type document struct {
	t       *testing.T
	schemas object
	named   map[reflect.Type]string
}

// describe makes the document of the table of routes.
func describe(t *testing.T) object {
	d := document{t: t, schemas: object{}, named: make(map[reflect.Type]string)}
	d.schema(reflect.TypeFor[problem]()) // has its name first
	d.schemas["Problem"].(object)["properties"].(object)["type"] = object{"type": "string", "enum": problemTypes(t), "description": "What kind of problem it is; it stays the same, whatever the language"}
	paths := object{}
	add := func(path, method string, one object) {
		of, _ := paths[path].(object)
		if of == nil {
			of = object{}
			paths[path] = of
		}
		require.NotContains(t, of, method, path)
		of[method] = one
	}
	for _, v := range views {
		if v.api != "" {
			add(apiPath+v.api, "get", d.route(v.name, v.role, apiPath+v.api, v.query, http.StatusOK, reflect.TypeOf(v.shape), ofViews))
		}
	}
	for _, o := range operations {
		if o.api == "" {
			continue
		}
		status := max(o.status, http.StatusOK)
		one := d.route(o.name, o.role, apiPath+o.api, nil, status, reflect.TypeOf(o.result), ofOperations)
		one["parameters"] = append(one["parameters"].([]any), object{"name": "Idempotency-Key", "in": "header", "required": true, "schema": object{"type": "string", "pattern": keyForm.String()},
			"description": "Makes it happen once: the same request with the same key is answered as the first time"})
		input, kind := d.schema(reflect.TypeOf(o.input)), "application/json"
		if o.size > 0 {
			kind, input = "multipart/form-data", object{"type": "object", "required": []string{"file"}, "properties": object{"file": object{"type": "string", "format": "binary", "description": "CSV or xlsx, at most 32 MiB"}}}
		}
		one["requestBody"] = object{"required": true, "content": object{kind: object{"schema": input}}}
		headers := object{"Idempotent-Replayed": object{"schema": object{"type": "string", "enum": []string{"true"}}, "description": "It was done before, with this key"}}
		if status != http.StatusOK {
			headers["Location"] = object{"schema": object{"type": "string"}, "description": "Where what was made or begun can be asked for"}
		}
		one["responses"].(object)[itoa(status)].(object)["headers"] = headers
		add(apiPath+o.api, "post", one)
	}
	download := apiPath + "/periods/{integration}/{period}/vouchers/{file}"
	one := d.route("download", viewer, download, voucherQuery[:2], http.StatusOK, nil, ofViews)
	one["responses"].(object)["200"].(object)["content"] = object{
		"text/csv": object{"schema": object{"type": "string"}},
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": object{"schema": object{"type": "string", "format": "binary"}},
	}
	add(download, "get", one)
	add("/api/v1/organizations", "get", d.route("organizations", "", "", nil, http.StatusOK, reflect.TypeFor[organizations](), ofAll))
	open := d.route("openapi", "", "", nil, http.StatusOK, nil, nil)
	open["responses"].(object)["200"].(object)["content"] = object{"application/json": object{"schema": object{"type": "object"}}}
	open["security"] = []any{}
	add("/api/v1/openapi.json", "get", open)
	return object{
		"openapi": "3.0.3",
		"info": object{"title": "Ledgerline console", "version": "1", "description": strings.Join([]string{
			"What the pages show and do, for programs. Times are RFC 3339 in UTC or with their zone, days such as 2026-10-31, amounts decimals as text with a point.",
			"A list that has more has the member next: send it as after. A page can be empty and have a next one.",
			"Texts for people are in the language of Accept-Language: en or nb. What a problem is, its type says.",
		}, "\n\n")},
		"servers":  []any{object{"url": "/"}},
		"security": []any{object{"bearer": []string{}}, object{"cookie": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas": d.schemas,
			"securitySchemes": object{
				"bearer": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token of the issuer that people sign in at"},
				"cookie": object{"type": "apiKey", "in": "cookie", "name": "__Host-ledgerline", "description": "The session of a browser"},
			},
			"responses": object{"Problem": object{"description": "Why it was not served (RFC 9457)", "content": object{"application/problem+json": object{"schema": ref("Problem")}}}},
		},
	}
}

var inPath = regexp.MustCompile(`\{([a-z]+)\}`)

// route is an operation of the document.
func (d document) route(name string, role signin.Role, path string, query []string, status int, result reflect.Type, problems []int) object {
	summary := summaries[name]
	switch name {
	case "download":
		summary = "All vouchers of the period that the filter selects, as a file for a spreadsheet"
	case "organizations":
		summary = "Organizations in which you have a role"
	case "openapi":
		summary = "This document"
	}
	require.NotEmpty(d.t, summary, "say in summaries what %s does", name)
	one := object{"operationId": name, "summary": summary, "parameters": []any{}}
	if role != "" {
		one["description"] = "It takes the role " + string(role) + "."
	}
	for _, m := range inPath.FindAllStringSubmatch(path, -1) {
		require.Contains(d.t, names, m[1], "say in names what it is")
		one["parameters"] = append(one["parameters"].([]any), object{"name": m[1], "in": "path", "required": true, "schema": names[m[1]]})
	}
	for _, q := range query {
		require.Contains(d.t, queries, q, "say in queries what it is")
		one["parameters"] = append(one["parameters"].([]any), object{"name": q, "in": "query", "schema": queries[q]})
	}
	answer := object{"description": "Done"}
	if result != nil {
		answer["content"] = object{"application/json": object{"schema": d.schema(result)}}
	}
	responses := object{itoa(status): answer}
	for _, p := range problems {
		responses[itoa(p)] = object{"$ref": "#/components/responses/Problem"}
	}
	one["responses"] = responses
	return one
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// schema is what a type is as JSON.
func (d document) schema(t reflect.Type) object {
	if values, ok := enumerated[t]; ok {
		return object{"type": "string", "enum": values}
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[uuid.UUID]():
		return object{"type": "string", "format": "uuid"}
	case reflect.TypeFor[json.RawMessage]():
		return object{"description": "Any JSON"}
	case reflect.TypeFor[proof.Agreement]():
		return object{"type": "boolean", "nullable": true}
	}
	if t.Kind() == reflect.Pointer {
		return d.schema(t.Elem())
	}
	require.False(d.t, t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()), "%v writes itself: say here how", t)
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": d.schema(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		if t.Key() == reflect.TypeFor[exports.Outcome]() {
			of := object{}
			for _, o := range exports.Outcomes {
				of[string(o)] = d.schema(t.Elem())
			}
			return object{"type": "object", "properties": of, "additionalProperties": false}
		}
		return object{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.Struct:
		return d.structure(t)
	}
	require.Fail(d.t, "no schema", "%v", t)
	return nil
}

// structure is a struct, which has a name in the document.
func (d document) structure(t reflect.Type) object {
	if name, ok := d.named[t]; ok {
		return ref(name)
	}
	name := capital(t.Name())
	if _, taken := d.schemas[name]; taken {
		of := strings.Split(t.PkgPath(), "/")
		name = capital(of[len(of)-1]) + name
	}
	require.NotContains(d.t, d.schemas, name, "%v", t)
	s := object{"type": "object", "additionalProperties": false}
	d.named[t], d.schemas[name] = name, s
	properties, required := object{}, []string{}
	d.members(t, properties, &required)
	s["properties"] = properties
	if len(required) > 0 {
		slices.Sort(required)
		s["required"] = required
	}
	return ref(name)
}

// Names of members are those of the vocabulary that the command line has, see vocabulary_test.go
// of the module.
var (
	lowerCamel = regexp.MustCompile(`^[a-z][a-zA-Z0-9]*$`)
	otherName  = map[string]string{"class": "errorClass", "errorCode": "errorKind", "errorMessage": "message", "error": "message", "org": "organization"}
	askedFor   = []string{"CallList.class"} // what was asked for has the parameter's name
)

func (d document) members(t reflect.Type, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("json")
		if f.Anonymous && !tagged {
			embedded := object{}
			d.members(f.Type, embedded, required)
			for name, s := range embedded {
				if _, outer := properties[name]; !outer {
					properties[name] = s
				}
			}
			continue
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		require.True(d.t, tagged, "%v.%s would be shown by its Go name", t, f.Name)
		name, options, _ := strings.Cut(tag, ",")
		require.Regexp(d.t, lowerCamel, name, "%v.%s", t, f.Name)
		if better, ok := otherName[name]; ok {
			require.Contains(d.t, askedFor, capital(t.Name())+"."+name, "%v: it is %s everywhere else", t, better)
		}
		s := d.schema(f.Type)
		switch optional := strings.Contains(options, "omit"); {
		case optional:
		default:
			*required = append(*required, name)
			if f.Type.Kind() == reflect.Pointer {
				if _, is := s["$ref"]; is {
					s = object{"allOf": []any{s}}
				}
				s["nullable"] = true
			}
		}
		properties[name] = s
	}
}

func capital(s string) string { return string(unicode.ToUpper(rune(s[0]))) + s[1:] }

// problemTypes are the types of problems, from the table of words.
func problemTypes(t *testing.T) (list []string) {
	b, err := os.ReadFile("words/problems.yaml")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^problem\.([a-z_]+):`).FindAllSubmatch(b, -1) {
		list = append(list, problemType+string(m[1]))
	}
	require.NotEmpty(t, list)
	slices.Sort(list)
	return list
}

// The document that is served is made from the table of routes and the types: go test ./console
// -run TestOpenAPI -update writes it.
func TestOpenAPI(t *testing.T) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	require.NoError(t, e.Encode(describe(t)))
	if *update {
		require.NoError(t, os.WriteFile("openapi.json", b.Bytes(), 0o644))
		return
	}
	require.Equal(t, b.String(), string(openAPIDocument), "go test ./console -run TestOpenAPI -update")
}

// Lists and maps that are nil are there as JSON, at every depth, and the value itself is as it was.
func TestWholeHasNoNull(t *testing.T) {
	before := period{Exports: nil, Vouchers: []voucherRow{{}}, Counts: map[exports.Outcome]exports.Count{exports.WasRefused: {}}}
	b, err := json.Marshal(whole(before))
	require.NoError(t, err)
	require.NotContains(t, string(b), "null")
	require.Nil(t, before.Vouchers[0].Amounts)
	require.Nil(t, before.Counts[exports.WasRefused].Amounts)
	b, err = json.Marshal(whole(voucher{Sent: []voucherSent{{}}}))
	require.NoError(t, err)
	require.NotContains(t, string(b), "null")
	require.Nil(t, whole(nil))
}
