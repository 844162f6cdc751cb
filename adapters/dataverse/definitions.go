package dataverse

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/internal/lazy"
)

// columnRule is what a column must be.
type columnRule struct {
	types  []string
	length int // least, of a text
	words  string
}

func ruleOf(suffix string) columnRule {
	switch suffix {
	case keyColumn:
		return columnRule{[]string{"String"}, keyLength, "single line of text, 32 characters"}
	case "date":
		return columnRule{[]string{"DateTime"}, 0, "date only"}
	case "amount":
		return columnRule{[]string{"Decimal", "Money"}, 0, "decimal with two places"}
	case "currency":
		return columnRule{[]string{"String", "Memo"}, currencyLength, "single line of text, 3 characters"}
	}
	return columnRule{[]string{"String", "Memo"}, 1, "single line of text, as long as your values are"}
}

// judge compares what only columns of a type have.
func (d detail) judge(w columnRule, kind string) adapters.Check {
	assumed := func(remedy string) adapters.Check { return adapters.Check{State: adapters.Assumed, Remedy: remedy} }
	switch {
	case d.LogicalName == "":
		return assumed("see that it is " + w.words)
	case kind == "DateTime" && d.behavior() != "DateOnly":
		return assumed("make its behaviour (time zone adjustment) Date only: with any other one, a date can show as the day before")
	case kind == "Money" && (d.PrecisionSource == nil || *d.PrecisionSource != 0):
		return assumed("see that the currency of the rows has two decimal places, or make it decimal with two places")
	case (kind == "Decimal" || kind == "Money") && d.Precision == nil, w.length > 0 && d.MaxLength == nil:
		return assumed("see that it is " + w.words)
	case (kind == "Decimal" || kind == "Money") && *d.Precision < 2, w.length > 0 && *d.MaxLength < w.length:
		return adapters.Check{State: adapters.Differs, Remedy: "make it " + w.words}
	}
	return adapters.Check{State: adapters.Checked}
}

// describe says what a column is, such as "type String, 100 characters".
func (d detail) describe(kind string) string {
	said := "type " + kind
	if d.MaxLength != nil {
		said += fmt.Sprintf(", %d characters", *d.MaxLength)
	}
	if kind == "Money" && d.PrecisionSource != nil && *d.PrecisionSource != 0 {
		said += ", as many decimal places as the " + map[bool]string{true: "organization's prices have", false: "currency has"}[*d.PrecisionSource == 1]
	} else if d.Precision != nil {
		said += fmt.Sprintf(", %d decimal places", *d.Precision)
	}
	if d.MinValue != "" && d.MaxValue != "" {
		said += fmt.Sprintf(", from %s to %s", d.MinValue, d.MaxValue)
	}
	if d.behavior() != "" {
		said += ", behaviour " + d.behavior()
	}
	return said
}

// definition is a table as EntityDefinitions shows it.
type definition struct {
	LogicalName, EntitySetName string
	Keys                       []struct {
		KeyAttributes        []string
		EntityKeyIndexStatus string
	}
	Attributes []attribute
	Privileges []privilege
}

// attribute is what columns of every type have.
type attribute struct {
	LogicalName, AttributeType                    string
	IsValidForCreate, IsValidForUpdate, IsSecured *bool
}

// privilege is a right to do something with the rows of a table; of a user's,
// PrivilegeType is empty and the name is in PrivilegeName.
type privilege struct{ Name, PrivilegeName, PrivilegeID, PrivilegeType string }

// is reports whether a user's privilege is p.
func (p privilege) is(held privilege) bool {
	return p.PrivilegeID != "" && strings.EqualFold(p.PrivilegeID, held.PrivilegeID) || strings.EqualFold(p.Name, held.PrivilegeName)
}

func (t definition) column(name string) *attribute {
	for i, a := range t.Attributes {
		if a.LogicalName == name {
			return &t.Attributes[i]
		}
	}
	return nil
}

func (t definition) privilege(kind string) privilege {
	for _, p := range t.Privileges {
		if p.PrivilegeType == kind {
			return p
		}
	}
	return privilege{}
}

// logicalName is that of a table or column.
var logicalName = lazy.Regexp(`^[a-z][a-z0-9_]{0,127}$`)

// readDefinitions reads an answer of EntityDefinitions. What it returns can be put
// into an address.
func readDefinitions(body []byte) ([]definition, error) {
	var answer struct{ Value *[]definition }
	if json.Unmarshal(adapters.JSON(body), &answer) != nil || answer.Value == nil {
		return nil, errors.New("the answer to EntityDefinitions is not a list of tables")
	}
	for _, t := range *answer.Value {
		if !logicalName().MatchString(t.LogicalName) || t.EntitySetName == "" || t.Attributes == nil {
			return nil, errors.New("the answer to EntityDefinitions has a table without a name or without its columns")
		}
	}
	return *answer.Value, nil
}

// detail is what only columns of a type have.
type detail struct {
	LogicalName                           string
	MaxLength, Precision, PrecisionSource *int
	MinValue, MaxValue                    json.Number
	Format                                string
	DateTimeBehavior                      *struct{ Value string }
}

func (d detail) behavior() string {
	if d.DateTimeBehavior == nil {
		return ""
	}
	return d.DateTimeBehavior.Value
}

// readDetails reads the columns of one type.
func readDetails(body []byte) ([]detail, error) {
	var answer struct{ Value *[]detail }
	if json.Unmarshal(adapters.JSON(body), &answer) != nil || answer.Value == nil {
		return nil, errors.New("the answer to EntityDefinitions is not a list of columns")
	}
	return *answer.Value, nil
}

// readPrivileges reads the privileges of a user.
func readPrivileges(body []byte) ([]privilege, error) {
	var answer struct{ RolePrivileges *[]privilege }
	if json.Unmarshal(adapters.JSON(body), &answer) != nil || answer.RolePrivileges == nil {
		return nil, errors.New("the answer to RetrieveUserSetOfPrivilegesByNames is not a list of privileges")
	}
	return *answer.RolePrivileges, nil
}

// userOf is the application user that WhoAmI names, "" if it names none.
func userOf(body []byte) string {
	var answer struct{ UserID string }
	if json.Unmarshal(adapters.JSON(body), &answer) != nil || !guid().MatchString(answer.UserID) {
		return ""
	}
	return answer.UserID
}
