package entryfile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxSpooled is the most that is stored of an input that is not a file.
const maxSpooled = 4 << 30

// source is what is read, as often as is needed.
type source struct {
	file    *os.File
	size    int64
	changed time.Time
	spooled bool
	closer  io.Closer // of a file that was opened here
}

// spool stores an input that is not a regular file. The size of a file that grows is the one
// it had when it was opened.
func spool(in io.Reader) (*source, error) {
	if f, ok := in.(*os.File); ok {
		at, err := f.Seek(0, io.SeekCurrent)
		if info, statErr := f.Stat(); err == nil && statErr == nil && at == 0 && info.Mode().IsRegular() {
			return &source{file: f, size: info.Size(), changed: info.ModTime()}, nil
		}
	}
	f, err := os.CreateTemp("", "ledgerline-entries-")
	if err != nil {
		return nil, err
	}
	s := &source{file: f, spooled: true}
	s.size, err = io.Copy(f, io.LimitReader(in, maxSpooled+1))
	if err == nil && s.size > maxSpooled {
		err = fmt.Errorf("more than %d GiB: divide it into smaller files", maxSpooled>>30)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *source) close() error {
	var err error
	if s.spooled {
		err = errors.Join(s.file.Close(), os.Remove(s.file.Name()))
	}
	if s.closer != nil {
		err = errors.Join(err, s.closer.Close())
	}
	return err
}

// unchanged reports whether the file is still the one that was surveyed.
func (s *source) unchanged() error {
	if s.spooled {
		return nil
	}
	info, err := s.file.Stat()
	if err == nil && (info.Size() != s.size || !info.ModTime().Equal(s.changed)) {
		err = errors.New("the file was changed while it was read: wait until it is complete, and try again")
	}
	return err
}

func (s *source) reader() io.Reader { return io.NewSectionReader(s.file, 0, s.size) }

// begin is the first bytes of the source.
func (s *source) begin(n int) []byte {
	b := make([]byte, n)
	read, _ := io.ReadFull(s.reader(), b)
	return b[:read]
}

const saveAs = "save it as Excel workbook (.xlsx) or CSV, and read that"

// strangers are files of other kinds, by how they begin.
var strangers = []struct{ begins, what string }{
	{"%PDF", "a PDF: export the entries from the system that made it as Excel or CSV"},
	{"{\\rtf", "an RTF document: " + saveAs},
	{"\x1f\x8b", "compressed (gzip): unpack it first"},
	{"7z\xbc\xaf\x27\x1c", "compressed (7z): unpack it first"},
	{"Rar!", "compressed (rar): unpack it first"},
	{"\xff\xfe\x00\x00", "UTF-32: save it as CSV UTF-8"},
	{"\x00\x00\xfe\xff", "UTF-32: save it as CSV UTF-8"},
	{"\x89PNG", "a picture: export the entries as Excel or CSV"},
	{"\xff\xd8\xff", "a picture: export the entries as Excel or CSV"},
	{"<!doctype", "an HTML page, which some systems name .xls: open it in Excel and " + saveAs},
	{"<html", "an HTML page, which some systems name .xls: open it in Excel and " + saveAs},
	{"<table", "an HTML page, which some systems name .xls: open it in Excel and " + saveAs},
	{"<?xml", "XML, not CSV (SAF-T and Excel's XML are not read): open it in Excel and " + saveAs},
	{"PAR1", "Parquet: " + saveAs},
}

// format finds the format by the content, and only then by the name.
func (s *source) format(name string, wanted Format) (Format, error) {
	begin := s.begin(4096)
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(begin, []byte("\ufeff")), " \t\r\n")
	lower := bytes.ToLower(trimmed[:min(len(trimmed), 64)])
	switch {
	case s.size == 0:
		return "", wrongf(1, 1, "the file is empty")
	case bytes.HasPrefix(begin, []byte("PK\x03\x04")) || bytes.HasPrefix(begin, []byte("PK\x05\x06")):
		if wanted != "" && wanted != FormatXLSX {
			return "", wrongf(1, 1, "not %s, but a workbook or a zip file: leave --format out", wanted)
		}
		return FormatXLSX, s.workbook()
	case bytes.HasPrefix(begin, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		return "", wrongf(1, 1, "%s", s.compound())
	}
	for _, other := range strangers {
		if bytes.HasPrefix(begin, []byte(other.begins)) || bytes.HasPrefix(lower, []byte(other.begins)) {
			return "", wrongf(1, 1, "the file is %s", other.what)
		}
	}
	switch {
	case wanted == FormatXLSX:
		return "", wrongf(1, 1, "not a workbook (.xlsx): leave --format out to read it as CSV")
	case wanted != "":
		return wanted, nil
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jsonl", ".ndjson":
		return FormatJSONLines, nil
	case ".csv":
		return FormatCSV, nil
	}
	if len(trimmed) > 0 && trimmed[0] == '{' {
		return FormatJSONLines, nil
	}
	return FormatCSV, nil
}

// workbook checks that a zip file is an .xlsx, and not too large.
func (s *source) workbook() error {
	z, err := zip.NewReader(s.file, s.size)
	if err != nil {
		return wrongf(1, 1, "a workbook that is damaged or not complete (%v): save it again", err)
	}
	var total uint64
	has := make(map[string]bool)
	for _, f := range z.File {
		total += f.UncompressedSize64
		has[strings.ToLower(strings.ReplaceAll(f.Name, `\`, "/"))] = true
		if total > maxUnzipped || f.UncompressedSize64 > maxUnzipped {
			return wrongf(1, 1, "a workbook of more than %d MiB when unpacked: save the sheet as CSV, or divide it", maxUnzipped>>20)
		}
	}
	switch {
	case has["xl/workbook.xml"]:
		return wholeSheets(z)
	case has["xl/workbook.bin"]:
		return wrongf(1, 1, "a binary workbook (.xlsb): %s", saveAs)
	case has["content.xml"] && has["mimetype"]:
		return wrongf(1, 1, "an OpenDocument file (.ods): %s", saveAs)
	case has["index/document.iwa"]:
		return wrongf(1, 1, "a Numbers file: export it as Excel or CSV, and read that")
	}
	return wrongf(1, 1, "a zip file and not a workbook: unpack it first")
}

// wholeSheets checks that each sheet of a workbook is there to its end: whoever reads a sheet row by
// row takes one that was cut for a shorter one.
func wholeSheets(z *zip.Reader) error {
	for _, f := range z.File {
		name := strings.ToLower(strings.ReplaceAll(f.Name, `\`, "/"))
		if !strings.HasPrefix(name, "xl/worksheets/") || filepath.Ext(name) != ".xml" {
			continue
		}
		in, err := f.Open()
		if err == nil {
			var last tail
			_, err = io.Copy(&last, in)
			if err = errors.Join(err, in.Close()); err == nil && !bytes.Contains(last, []byte("worksheet>")) {
				err = fmt.Errorf("%s has no end", f.Name)
			}
		}
		if err != nil {
			return wrongf(1, 1, "a workbook that is damaged or not complete (%v): save it again", err)
		}
	}
	return nil
}

// tail keeps the last bytes that are written.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p[max(0, len(p)-256):]...)
	*t = (*t)[max(0, len(*t)-256):]
	return len(p), nil
}

// compound says what a file in Microsoft's old container is.
func (s *source) compound() string {
	name := []byte("E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00")
	b := make([]byte, 1<<16)
	var tail []byte
	for in := s.reader(); ; {
		n, err := in.Read(b)
		tail = append(tail, b[:n]...)
		if bytes.Contains(tail, name) {
			return "a workbook with a password: take the password off in Excel (File, Info, Protect Workbook, Encrypt with Password), and save it"
		}
		tail = tail[max(0, len(tail)-len(name)):]
		if err != nil {
			return "an old Excel file (.xls): open it in Excel, and " + saveAs
		}
	}
}
