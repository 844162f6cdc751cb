package sandbox

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

var ledgerPath = regexp.MustCompile(`^companies\(([^)]*)\)/generalLedgerEntries$`)

// ledgerColumns are what the API v2.0 shows of a general ledger entry. The
// external document number is not among them.
var ledgerColumns = []string{
	"id", "entryNumber", "postingDate", "documentNumber", "documentType", "accountNumber", "description",
	"debitAmount", "creditAmount", "lastModifiedDateTime",
}

// ledgerTexts are those of them that can be looked for.
var ledgerTexts = []string{"documentNumber", "documentType", "accountNumber", "description"}

// post moves the lines of a journal to the general ledger, and returns how many
// there were.
func (s *Sandbox) post(c *call, id string) int {
	j := s.journals[id]
	lines := j.all(current)
	for _, i := range lines {
		entry := parseRecord(j.rows[i].content)
		entry.set("entryId", c.guid())
		entry.set("entryNumber", len(s.ledger.rows)+1)
		entry.set("postedAt", s.now())
		j.remove(c, i)
		s.ledger.add(c, entry)
	}
	if len(lines) > 0 {
		c.effect("journal_post", id)
	}
	return len(lines)
}

// ledgerEntry is a posted line as the API shows it.
func (s *Sandbox) ledgerEntry(place int) record {
	line := parseRecord(s.ledger.rows[place].content)
	out := line.pick(strings.Join(ledgerColumns, ","))
	out["id"] = line["entryId"]
	var at time.Time
	_ = json.Unmarshal(line["postedAt"], &at)
	if line["postingDate"] == nil {
		out.set("postingDate", at.Format(time.DateOnly))
	}
	out.set("documentType", " ")
	out.set("lastModifiedDateTime", at.UTC().Format("2006-01-02T15:04:05.000Z"))
	debit, credit := json.RawMessage("0"), json.RawMessage("0")
	if amount, minus := strings.CutPrefix(string(line["amount"]), "-"); minus {
		credit = json.RawMessage(amount)
	} else if amount != "" {
		debit = json.RawMessage(amount)
	}
	out["debitAmount"], out["creditAmount"] = debit, credit
	return out
}

// unknownColumn returns a selected column that ledger entries do not have.
func unknownColumn(selected string) string {
	for name := range strings.SplitSeq(selected, ",") {
		if name != "" && !slices.Contains(ledgerColumns, name) {
			return name
		}
	}
	return ""
}

// NewJournal adds an empty journal to the company, and returns its ID.
func (s *Sandbox) NewJournal(code string) (id string) {
	s.lock()
	defer s.unlock()
	id = uuid.NewString()
	s.journals[id] = newJournal(code)
	return id
}

// Post posts a journal, as somebody there could: its lines move to the general
// ledger. It returns how many there were.
func (s *Sandbox) Post(journalID string) int {
	s.lock()
	defer s.unlock()
	if s.journals[journalID] == nil {
		return 0
	}
	return s.post(s.somebody("businesscentral"), journalID)
}

// somebody is a call of one who works at a vendor by hand.
func (s *Sandbox) somebody(vendor string) *call {
	return &call{sb: s, vendor: vendor, entry: &LogEntry{}}
}
