package entryfile

import (
	"archive/zip"
	"encoding/xml"
	"path"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

// A workbook stores 12.5 as a number and "12.500" as a text, and only the first says what it
// means. excelize does not say which is which while it streams, so the types of the cells that
// matter are read once from the sheet: a byte for each row.

// typedColumns are the columns of which the type counts.
var typedColumns = [...]field{fAmount, fDebit, fCredit, fDate}

// cellTypes are the types of a row's cells in typedColumns, two bits each; a text is 0, so that
// a cell that was not found is not taken for a number.
type cellTypes uint8

var (
	typeBits   = map[cellKind]cellTypes{cellNumber: 1, cellBoolean: 2}
	typeOfBits = [...]cellKind{cellText, cellNumber, cellBoolean, cellText}
)

// kindOf is the type of a cell that has a value. What is not a workbook has texts only.
func (b *workbook) kindOf(line int, c field) cellKind {
	if line >= len(b.types) {
		return cellText
	}
	for i, typed := range typedColumns {
		if typed == c {
			return typeOfBits[b.types[line]>>(2*i)&3]
		}
	}
	return cellText
}

// readTypes reads the types of the cells of the sheet. Where the sheet cannot be read further it
// ends: reading the values says so.
func (f *File) readTypes() error {
	z, err := zip.NewReader(f.src.file, f.src.size)
	if err != nil {
		return wrongf(1, 1, "a workbook that cannot be read (%v): open it in Excel, and save it again", err)
	}
	part := f.book.part(z)
	if part == nil {
		return wrongf(1, 1, "sheet %s is not where the workbook says: open the workbook in Excel, and save it again", f.book.sheet)
	}
	in, err := part.Open()
	if err != nil {
		return wrongf(1, 1, "sheet %s cannot be read (%v): open the workbook in Excel, and save it again", f.book.sheet, err)
	}
	defer in.Close()
	shifts := make(map[int]int) // by column from 1
	for i, c := range typedColumns {
		if at := f.layout.column[c]; at >= 0 {
			shifts[at+1] = 2 * i
		}
	}
	d := xml.NewDecoder(in)
	d.CharsetReader = f.book.file.CharsetReader
	for line, column := 0, 0; ; {
		token, err := d.RawToken()
		if err != nil {
			return nil
		}
		if end, ok := token.(xml.EndElement); ok && end.Name.Local == "sheetData" {
			return nil
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case start.Name.Local == "row":
			line, column = line+1, 0
			if at, err := strconv.Atoi(attribute(start, "r")); err == nil && at > 0 {
				line = at
			}
		case start.Name.Local == "c":
			column++
			if at, _, err := excelize.CellNameToCoordinates(attribute(start, "r")); err == nil {
				column = at
			}
			shift, typed := shifts[column]
			if !typed || line < 1 || line > excelize.TotalRows {
				continue
			}
			for len(f.book.types) <= line {
				f.book.types = append(f.book.types, 0)
			}
			f.book.types[line] |= typeBits[storedKind(attribute(start, "t"))] << shift
		}
	}
}

// storedKind is the kind of a cell by its attribute t. An error, a date as text, and the result of
// a formula that is a text are texts.
func storedKind(t string) cellKind {
	switch t {
	case "", "n":
		return cellNumber
	case "b":
		return cellBoolean
	}
	return cellText
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// part is the sheet's part of the workbook, which is named by relations.
func (b *workbook) part(z *zip.Reader) *zip.File {
	book := ""
	for _, r := range relations(z, "_rels/.rels") {
		if strings.HasSuffix(r.Type, "/officeDocument") {
			book = strings.TrimPrefix(r.Target, "/")
			break
		}
	}
	for _, sheet := range b.file.WorkBook.Sheets.Sheet {
		if sheet.Name != b.sheet {
			continue
		}
		for _, r := range relations(z, path.Join(path.Dir(book), "_rels", path.Base(book)+".rels")) {
			target := strings.ReplaceAll(r.Target, `\`, "/")
			switch {
			case r.ID != sheet.ID:
			case strings.HasPrefix(target, "/"):
				return partNamed(z, path.Clean(target))
			default:
				return partNamed(z, path.Join(path.Dir(book), target))
			}
		}
	}
	return nil
}

// relation says where a part is.
type relation struct {
	ID     string `xml:"Id,attr"`
	Type   string `xml:",attr"`
	Target string `xml:",attr"`
}

func relations(z *zip.Reader, name string) []relation {
	part := partNamed(z, name)
	if part == nil {
		return nil
	}
	in, err := part.Open()
	if err != nil {
		return nil
	}
	defer in.Close()
	var list struct {
		Relationship []relation
	}
	if xml.NewDecoder(in).Decode(&list) != nil {
		return nil
	}
	return list.Relationship
}

func partNamed(z *zip.Reader, name string) (part *zip.File) {
	name = strings.TrimPrefix(name, "/")
	for _, f := range z.File {
		if strings.EqualFold(strings.ReplaceAll(f.Name, `\`, "/"), name) {
			part = f
		}
	}
	return part
}
