package entryfile

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/runlog"
)

// Entry is an entry as it was understood, under our names of the columns.
type Entry struct {
	EntryID    string            `json:"entryId"`
	VoucherID  string            `json:"voucherId"`
	Date       string            `json:"date"` // 2026-10-31
	Account    string            `json:"account"`
	Amount     string            `json:"amount"` // decimal, with the places that the file has
	Currency   string            `json:"currency"`
	Text       string            `json:"text"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
}

// Summary is what a file has.
type Summary struct {
	Count           int         `json:"count"` // entries
	Vouchers        int         `json:"vouchers"`
	Reading         Reading     `json:"reading"`
	Sample          []Entry     `json:"sample"`          // the first entries
	UnbalancedCount int         `json:"unbalancedCount"` // vouchers that do not sum to zero
	Unbalanced      []Imbalance `json:"unbalanced"`      // the first maxUnbalanced of them
	MixedCount      int         `json:"mixedCount"`      // vouchers of more than one currency; they are in no sum
	Mixed           []Mixed     `json:"mixed"`           // the first maxUnbalanced of them
	Warnings        []string    `json:"warnings"`
	ErrorCount      int         `json:"errorCount"`
	Errors          []Problem   `json:"errors"`
}

// Imbalance is what a voucher lacks to sum to zero.
type Imbalance struct {
	VoucherID  string `json:"voucherId"`
	Difference string `json:"difference"` // decimal
}

// Mixed is a voucher of more than one currency.
type Mixed struct {
	VoucherID  string    `json:"voucherId"`
	Currencies [2]string `json:"currencies"` // two of them, the first and the last by name
}

// maxUnbalanced is how many vouchers a summary names.
const maxUnbalanced = 1000

// sum is an exact sum of amounts: high times a billion, and low, in hundredths; and the first and the
// last currency, by name.
type sum struct {
	high, low   int64
	first, last [3]byte
	named       bool
}

func (s *sum) addCurrency(currency string) {
	var c [3]byte
	copy(c[:], currency)
	if s.first == [3]byte{} || bytes.Compare(c[:], s.first[:]) < 0 {
		s.first = c
	}
	if bytes.Compare(c[:], s.last[:]) > 0 {
		s.last = c
	}
}

func (s *sum) mixed() bool { return s.first != s.last }

func (s *sum) add(amount string) {
	negative := strings.HasPrefix(amount, "-")
	digits := strings.Replace(strings.TrimPrefix(TwoPlaces(amount), "-"), ".", "", 1)
	cut := max(0, len(digits)-9)
	high, _ := strconv.ParseInt("0"+digits[:cut], 10, 64)
	low, _ := strconv.ParseInt(digits[cut:], 10, 64)
	if negative {
		high, low = -high, -low
	}
	s.high, s.low = s.high+high, s.low+low
	s.high, s.low = s.high+s.low/1e9, s.low%1e9
}

func (s *sum) zero() bool { return s.high == 0 && s.low == 0 }

func (s *sum) String() string {
	v := new(big.Int).Add(new(big.Int).Mul(big.NewInt(s.high), big.NewInt(1e9)), big.NewInt(s.low))
	return new(big.Rat).SetFrac(v, big.NewInt(100)).FloatString(2)
}

// Check reads a file without storing anything, and returns what it has: at most sample entries,
// and all problems that f keeps. The error is one of reading.
func Check(f *File, sample int, progress func(bytes, entries int)) (Summary, error) {
	out := Summary{Reading: f.Reading(), Sample: []Entry{}, Unbalanced: []Imbalance{}, Mixed: []Mixed{}, Errors: []Problem{}, Warnings: []string{}}
	vouchers := make(map[[16]byte]sum)
	key := func(voucher string) [16]byte {
		hash := sha256.Sum256([]byte(voucher))
		return [16]byte(hash[:16])
	}
	for e, err := range f.Entries(progress) {
		var wrong *Error
		if errors.As(err, &wrong) {
			out.ErrorCount, out.Errors = wrong.Count, wrong.Problems
			break
		}
		if err != nil {
			return out, err
		}
		out.Count++
		if len(out.Sample) < sample {
			out.Sample = append(out.Sample, asEntry(e))
		}
		k := key(e.VoucherID)
		s := vouchers[k]
		s.add(e.Amount)
		s.addCurrency(e.Currency)
		vouchers[k] = s
	}
	out.Vouchers = len(vouchers)
	out.Warnings = append(out.Warnings, f.Warnings()...)
	if out.ErrorCount > 0 {
		return out, nil // sums of a part say nothing
	}
	for k, s := range vouchers {
		switch {
		case s.mixed():
			out.MixedCount++
		case s.zero():
			delete(vouchers, k)
		default:
			out.UnbalancedCount++
		}
	}
	return out, out.names(f, vouchers, key)
}

// names reads the file again for the names of the vouchers that are left, which are not kept.
func (out *Summary) names(f *File, vouchers map[[16]byte]sum, key func(string) [16]byte) error {
	wanted := min(maxUnbalanced, out.UnbalancedCount) + min(maxUnbalanced, out.MixedCount)
	if wanted == 0 {
		return nil
	}
	for e, err := range f.Entries(nil) {
		if err != nil {
			return err
		}
		k := key(e.VoucherID)
		s, there := vouchers[k]
		if !there || s.named {
			continue
		}
		s.named = true
		vouchers[k] = s
		switch {
		case s.mixed() && len(out.Mixed) < maxUnbalanced:
			out.Mixed = append(out.Mixed, Mixed{e.VoucherID, [2]string{string(s.first[:]), string(s.last[:])}})
		case !s.mixed() && len(out.Unbalanced) < maxUnbalanced:
			out.Unbalanced = append(out.Unbalanced, Imbalance{e.VoucherID, s.String()})
		}
		if len(out.Unbalanced)+len(out.Mixed) == wanted {
			break
		}
	}
	return nil
}

func asEntry(e runlog.AccountingEntry) Entry {
	return Entry{e.EntryID, e.VoucherID, e.Date.Format(time.DateOnly), e.Account, e.Amount, e.Currency, e.Text, e.Dimensions}
}
