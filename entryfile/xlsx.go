package entryfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"
)

// maxUnzipped is how large a workbook may be when unpacked: twice what a full sheet of entries needs.
const maxUnzipped = 1 << 30

// maxInMemory is how much of a workbook's part is kept in memory; what is larger goes to a
// temporary file.
const maxInMemory = 16 << 20

// workbook is an open workbook and the sheet that is read.
type workbook struct {
	file     *excelize.File
	sheet    string
	others   []string // sheets that are not read
	from1904 bool
	types    []cellTypes // by line
}

func (b *workbook) close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// surveyWorkbook opens the workbook and chooses the sheet.
func (f *File) surveyWorkbook() error {
	if f.o.Encoding != "" {
		return wrongf(1, 1, "--encoding is for CSV, and the file is a workbook: leave it out")
	}
	book, err := excelize.OpenFile(f.src.file.Name(), excelize.Options{RawCellValue: true, UnzipSizeLimit: maxUnzipped, UnzipXMLSizeLimit: maxInMemory})
	if err != nil {
		return wrongf(1, 1, "a workbook that cannot be read (%v): open it in Excel, and save it again", err)
	}
	f.book.file = book
	if props, err := book.GetWorkbookProps(); err == nil && props.Date1904 != nil {
		f.book.from1904 = *props.Date1904
	}
	sheets := book.GetSheetList()
	for _, sheet := range sheets {
		visible, err := book.GetSheetVisible(sheet)
		if f.book.sheet == "" && (f.o.Sheet == "" && err == nil && visible || f.o.Sheet != "" && strings.EqualFold(sheet, f.o.Sheet)) {
			f.book.sheet = sheet
		} else {
			f.book.others = append(f.book.others, sheet)
		}
	}
	if f.book.sheet == "" {
		if f.o.Sheet == "" {
			return wrongf(1, 1, "no sheet of the workbook is visible: add --sheet with one of %s", strings.Join(sheets, ", "))
		}
		return wrongf(1, 1, "no sheet %q: want one of %s", f.o.Sheet, strings.Join(sheets, ", "))
	}
	f.reading.Sheet = f.book.sheet
	in, err := f.book.open()
	if err != nil {
		return err
	}
	heading, score, err := f.o.heading(in)
	if err = errors.Join(err, in.close()); err != nil {
		return err
	}
	if err := f.surveyTable(heading, score); err != nil {
		return err
	}
	if f.o.Sheet == "" && len(f.book.others) > 0 {
		f.warnings = append(f.warnings, fmt.Sprintf("sheet %s was read; the others were not: %s (add --sheet NAME to read one of them)", f.book.sheet, strings.Join(f.book.others, ", ")))
	}
	return nil
}

// otherSheets is what to do if the sheet has nothing.
func (f *File) otherSheets() string {
	if len(f.book.others) == 0 {
		return ""
	}
	return fmt.Sprintf(" in sheet %s; for another one add --sheet, one of %s", f.book.sheet, strings.Join(f.book.others, ", "))
}

// sheetRows reads the rows of a sheet as they are stored.
type sheetRows struct {
	rows   *excelize.Rows
	line   int
	at     []int
	hidden int
}

func (b *workbook) open() (*sheetRows, error) {
	rows, err := b.file.Rows(b.sheet)
	if err != nil {
		return nil, wrongf(1, 1, "sheet %s cannot be read (%v): open the workbook in Excel, and save it again", b.sheet, err)
	}
	return &sheetRows{rows: rows}, nil
}

func (s *sheetRows) close() error { return s.rows.Close() }

func (s *sheetRows) next(r *row) error {
	if !s.rows.Next() {
		if err := s.rows.Error(); err != nil {
			return wrongf(s.line+1, 1, "the sheet cannot be read further (%v): open the workbook in Excel, and save it again", err)
		}
		return io.EOF
	}
	s.line++
	cells, err := s.rows.Columns()
	if err != nil {
		return wrongf(s.line, 1, "the row cannot be read (%v): open the workbook in Excel, and save it again", err)
	}
	if s.rows.GetRowOpts().Hidden && slices.ContainsFunc(cells, func(c string) bool { return c != "" }) {
		s.hidden++
	}
	for len(s.at) < len(cells) {
		s.at = append(s.at, len(s.at)+1)
	}
	r.line, r.cells, r.at = s.line, cells, s.at[:len(cells)]
	return nil
}
