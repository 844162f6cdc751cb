package businesscentral

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
)

var _ adapters.Verifier = Adapter{}

// What no record has: a key, and a document number.
const (
	unusedKey      = "00000000000000000000000000000000"
	unusedDocument = "LEDGERLINE-CHECK"
)

// What to do about a right that is missing. Permission sets are named by the
// vendor (docs/vendors.md#businesscentral-permission-sets).
const (
	toRead  = "on the page Microsoft Entra Applications in Business Central, give the application a permission set that may read %s, such as D365 READ"
	toWrite = "see that the application has a permission set that may insert general journal lines (table 81, Gen. Journal Line)"
)

// Verify implements [adapters.Verifier]: the token, the company, the journal, the
// look-ups in its lines and in the general ledger, the dimensions, and the types of
// what is written. It takes five requests, one more for twenty dimensions, and one
// for a company that is not listed.
func (b Adapter) Verify(ctx context.Context, c *adapters.Conn, w adapters.Requirements) (adapters.Contract, classify.Verdict) {
	defer c.For(limits.Lookup)()
	var contract adapters.Contract
	listed, v, ok := b.send.Open(ctx, c, &contract, nil, "companies?$select=id,name",
		"enable the application on the page Microsoft Entra Applications in Business Central, give it permission sets, and grant it API.ReadWrite.All in Entra ID")
	if !ok || Vendor.NeedSettings(c.Settings) != nil {
		return contract, v
	}
	f := verification{b.send, c, &contract, w}
	company := func(ctx context.Context) (bool, classify.Verdict) { return f.company(ctx, listed) }
	return odata.RunSteps(ctx, &contract, company, f.journal, f.lookUps, f.dimensions, f.fields, f.rights)
}

// rights says what cannot be asked for.
func (f verification) rights(context.Context) (bool, classify.Verdict) {
	f.contract.Add("right to add journal lines", adapters.Assumed, "Business Central shows it only when something is written", toWrite)
	return true, odata.VerifyOK()
}

// verification is one that is under way. Its steps say whether the next one makes
// sense.
type verification struct {
	send         odata.Sender
	conn         *adapters.Conn
	contract     *adapters.Contract
	requirements adapters.Requirements
}

// record asks for one record by its ID.
func (f verification) record(ctx context.Context, h http.Header, path, id string) (r odata.Record, standing odata.Standing, v classify.Verdict) {
	a, standing, v := f.send.Query(ctx, f.conn, h, path)
	if standing != odata.Answered {
		return nil, standing, v
	}
	if json.Unmarshal(adapters.JSON(a.Body), &r) != nil || !strings.EqualFold(r.Text("id"), id) {
		return nil, odata.Failed, odata.Untrusted("the answer to " + path + " is another record")
	}
	return r, standing, v
}

// company looks for the company among those that were listed, and by its ID if it
// is not among them.
func (f verification) company(ctx context.Context, listed []byte) (bool, classify.Verdict) {
	id := f.conn.Settings["companyId"]
	what := "company " + id
	var list struct{ Value *[]odata.Record }
	if json.Unmarshal(adapters.JSON(listed), &list) != nil || list.Value == nil {
		return false, odata.Untrusted("the answer to companies is not a list")
	}
	names := make([]string, 0, len(*list.Value))
	for _, r := range *list.Value {
		if strings.EqualFold(r.Text("id"), id) {
			f.contract.Add(what, adapters.Checked, "name "+r.Text("name"), "")
			return true, odata.VerifyOK()
		}
		names = append(names, r.Text("name")+" ("+r.Text("id")+")")
	}
	r, standing, v := f.record(ctx, nil, "companies("+id+")?$select=id,name", id)
	switch standing {
	case odata.Answered:
		f.contract.Add(what, adapters.Checked, "name "+r.Text("name"), "")
		return true, v
	case odata.Denied:
		f.contract.Refuse(v, what, odata.VendorMessage(v), "give the application permissions in this company")
	case odata.Failed:
		return false, v
	default:
		found := "not there; Business Central shows no company"
		if len(names) > 0 {
			found = "not there; there are " + strings.Join(names, ", ")
		}
		f.contract.Refuse(v, what, found, "correct settings.companyId")
	}
	return false, odata.VerifyOK()
}

// journal asks for the journal.
func (f verification) journal(ctx context.Context) (bool, classify.Verdict) {
	id := f.conn.Settings["journalId"]
	what := "journal " + id
	path, _, _ := strings.Cut(linesPath(f.conn.Settings), "/journalLines")
	r, standing, v := f.record(ctx, primary, path+"?$select=id,code,balancingAccountNumber", id)
	switch standing {
	case odata.Answered:
		f.contract.Add(what, adapters.Checked, "code "+r.Text("code"), "")
		if account := r.Text("balancingAccountNumber"); account != "" {
			f.contract.Add("balancing account of the journal", adapters.Assumed, "account "+account+": Business Central may balance each line with it",
				"remove the balancing account of journal "+r.Text("code")+": vouchers balance without it")
		}
		f.contract.Add("document numbers when the journal is posted", adapters.Assumed, "Business Central does not show the journal's number series",
			"leave Posting No. Series of journal "+r.Text("code")+" empty: posted lines are found by the document number that was sent")
	case odata.Denied:
		f.contract.Refuse(v, what, odata.VendorMessage(v), fmt.Sprintf(toRead, "general journals (table 232, Gen. Journal Batch)"))
		return false, odata.VerifyOK()
	case odata.Absent:
		f.contract.Refuse(v, what, odata.VendorMessage(v), "correct settings.journalId: it is the ID of a general journal of this company")
		return false, odata.VerifyOK()
	case odata.Unclear:
		f.contract.Add(what, adapters.Assumed, odata.VendorMessage(v), "see that settings.journalId is the ID of a general journal of this company")
	default:
		return false, v
	}
	return true, odata.VerifyOK()
}

// lookUps makes the requests with which an export asks what is there.
func (f verification) lookUps(ctx context.Context) (bool, classify.Verdict) {
	lines := linesPath(f.conn.Settings)
	for _, l := range []struct{ what, path, column, selected, value, table string }{
		{"look-up in the journal's lines", lines, "externalDocumentNumber", "id,externalDocumentNumber,amount", unusedKey, "general journal lines (table 81, Gen. Journal Line)"},
		{"general ledger", ledger(lines), "documentNumber", "documentNumber", unusedDocument, "the general ledger (table 17, G/L Entry)"},
	} {
		ignored, standing, v := f.send.Sample(ctx, f.conn, primary, l.path, l.column, l.selected, l.value)
		switch standing {
		case odata.Answered:
			if ignored {
				f.contract.Add(l.what, adapters.Differs, "records come back that were not asked for: the filter is ignored",
					"find out what answers in the vendor's place; an export cannot know what is there")
				continue
			}
			f.contract.Add(l.what, adapters.Checked, "can be read; a number that is not there finds nothing", "")
		case odata.Denied:
			f.contract.Refuse(v, l.what, odata.VendorMessage(v), fmt.Sprintf(toRead, l.table))
		case odata.Absent:
			f.contract.Refuse(v, l.what, odata.VendorMessage(v), "check the integration's baseURL: it must be that of the API v2.0")
		case odata.Unclear:
			f.contract.Add(l.what, adapters.Assumed, odata.VendorMessage(v), "")
		default:
			return false, v
		}
	}
	return true, odata.VerifyOK()
}

// dimensions looks for the dimensions that entries have.
func (f verification) dimensions(ctx context.Context) (bool, classify.Verdict) {
	company, _, _ := strings.Cut(linesPath(f.conn.Settings), "/journals(")
	for codes := range slices.Chunk(f.requirements.Dimensions, odata.PerLookup) {
		a, standing, v := f.send.Query(ctx, f.conn, primary, odata.LookupRequests(company+"/dimensions", "code", "code", [][]string{codes})[0].Path)
		there := make(map[string]bool)
		switch standing {
		case odata.Answered:
			lists, v := f.send.Records(ctx, f.conn, primary, [][]byte{a.Body})
			if v.Class != classify.Success {
				return false, v
			}
			for _, r := range lists[0] {
				there[folded(r.Text("code"))] = true
			}
		case odata.Failed:
			return false, v
		}
		for _, code := range codes {
			switch what := "dimension " + code; {
			case standing != odata.Answered:
				f.contract.Add(what, adapters.Assumed, odata.VendorMessage(v), "see that the company has a dimension with the code "+code)
			case there[folded(code)]:
				f.contract.Add(what, adapters.Checked, "the company has it", "")
			default:
				f.contract.Add(what, adapters.Differs, "the company has no dimension with this code", "add the dimension, or send this one to another code")
			}
		}
	}
	return true, odata.VerifyOK()
}

// field is what an export writes to a line. length is the least of a text.
type field struct {
	name, edm string
	length    int
}

var fields = []field{
	{"accountNumber", "Edm.String", maxAccount},
	{"postingDate", "Edm.Date", 0},
	{"documentNumber", "Edm.String", maxDocument},
	{"externalDocumentNumber", "Edm.String", len(unusedKey)},
	{"amount", "Edm.Decimal", 0},
	{"description", "Edm.String", maxDescription},
}

// fields compares the types of a line's fields with what an export writes. A
// metadata document that is too large, refused or unreadable shows nothing: all of
// this is in the vendor's reference, too.
func (f verification) fields(ctx context.Context) (bool, classify.Verdict) {
	a, standing, v := f.send.Query(ctx, f.conn, http.Header{"Accept": {"application/xml"}}, "$metadata")
	why := odata.VendorMessage(v)
	var line entityType
	if a.Status == http.StatusOK { // XML is no success for those who expect JSON
		var err error
		if line, err = readEntityType(a.Body, "journalLine"); err != nil {
			why = err.Error()
		}
	} else if standing == odata.Failed {
		return false, v
	}
	if line == nil {
		f.contract.Add("fields of journal lines", adapters.Assumed, why, "")
		return true, odata.VerifyOK()
	}
	wanted := fields
	if len(f.requirements.Dimensions) > 0 {
		wanted = append(wanted[:len(wanted):len(wanted)], field{"dimensionSetLines", "", 0})
	}
	for _, w := range wanted {
		what, p := "field "+w.name, line[w.name]
		found := "type " + p.edm
		if p.length > 0 {
			found += fmt.Sprintf(", %d characters", p.length)
		}
		switch {
		case p.edm == "":
			f.contract.Add(what, adapters.Differs, "journal lines have no such field", "check the integration's baseURL: it must be that of the API v2.0")
		case w.edm != "" && p.edm != w.edm, w.length > 0 && p.length > 0 && p.length < w.length:
			remedy := "exports write " + w.edm
			if w.length > 0 {
				remedy += fmt.Sprintf(" of up to %d characters", w.length)
			}
			f.contract.Add(what, adapters.Differs, found, remedy+": the integration's baseURL must be that of the API v2.0")
		case w.length > 0 && p.length == 0:
			f.contract.Add(what, adapters.Assumed, found+", no length is shown", "")
		default:
			f.contract.Add(what, adapters.Checked, found, "")
		}
	}
	return true, odata.VerifyOK()
}

// entityType is what a metadata document says of the properties of a type.
type entityType map[string]struct {
	edm    string
	length int // 0 if it is not said
}

// readEntityType finds a type of Business Central's in a metadata document. The
// document is read to its end, so that one that was cut is not taken for a whole
// one.
func readEntityType(document []byte, name string) (entityType, error) {
	d := xml.NewDecoder(bytes.NewReader(document))
	var out entityType
	inside := 0 // how deep in the type
	for elements := 0; ; {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && elements == 0:
			return nil, errors.New("the metadata document is empty")
		case errors.Is(err, io.EOF) && out == nil:
			return nil, fmt.Errorf("the metadata document has no type %s", name)
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, errors.New("the metadata document is not XML")
		}
		switch e := token.(type) {
		case xml.EndElement:
			inside = max(0, inside-1)
		case xml.StartElement:
			elements++
			attributes := make(map[string]string, len(e.Attr))
			for _, a := range e.Attr {
				attributes[a.Name.Local] = a.Value
			}
			switch {
			case inside == 0 && e.Name.Local == "EntityType" && attributes["Name"] == name && out == nil:
				out, inside = entityType{}, 1
			case inside == 0:
			case inside == 1 && (e.Name.Local == "Property" || e.Name.Local == "NavigationProperty"):
				p := out[attributes["Name"]]
				p.edm = attributes["Type"]
				if n, err := strconv.Atoi(attributes["MaxLength"]); err == nil && n > 0 {
					p.length = n
				}
				out[attributes["Name"]] = p
				inside++
			default:
				inside++
			}
		}
	}
}
