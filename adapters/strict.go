package adapters

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Strict reads a request's body, an object with some of the known keys and nothing
// after it. An object in it must not have a key twice, also not in another case:
// encoding/json takes the last one and passes over the case, and a vendor may take
// another than was judged here.
func Strict(body []byte, into any, known ...string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := unique(d, 0, known); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF { // More would pass over a } or ]
		return errors.New("something follows the JSON object")
	}
	d = json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// maxNesting bounds how deep a body is nested, like encoding/json does.
const maxNesting = 10000

// unique reads a value and looks at the keys of its objects.
func unique(d *json.Decoder, depth int, known []string) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if depth > maxNesting {
		return errors.New("it is nested too deep")
	}
	delim, ok := t.(json.Delim)
	switch {
	case depth == 0 && (!ok || delim != '{'):
		return errors.New("it is no JSON object")
	case !ok:
		return nil
	}
	seen := make(map[string]bool)
	for d.More() {
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name := key.(string)
			if depth == 0 && !slices.Contains(known, name) {
				return fmt.Errorf("unknown key %q; known are %s", name, strings.Join(known, ", "))
			}
			folded := strings.ToLower(strings.ToUpper(name)) // ſ is an s to encoding/json
			if seen[folded] {
				return fmt.Errorf("duplicate key %q in one object", name)
			}
			seen[folded] = true
		}
		if err := unique(d, depth+1, known); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
