package console

import (
	"encoding"
	"encoding/json"
	"reflect"
)

// whole is a value whose lists and maps are there, so that a program finds [] and {} and never
// null. What it is made of stays as it is.
func whole(v any) any {
	if v == nil {
		return nil
	}
	is := reflect.New(reflect.TypeOf(v)).Elem()
	is.Set(reflect.ValueOf(v))
	fill(is)
	return is.Interface()
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// fill makes the lists and maps in a value, and copies what it changes.
func fill(v reflect.Value) {
	if t := v.Type(); t.Implements(marshaler) || t.Implements(textMarshaler) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(list, v)
		for i := range list.Len() {
			fill(list.Index(i))
		}
		v.Set(list)
	case reflect.Map:
		all := reflect.MakeMapWithSize(v.Type(), v.Len())
		for key, value := range v.Seq2() {
			one := reflect.New(value.Type()).Elem()
			one.Set(value)
			fill(one)
			all.SetMapIndex(key, one)
		}
		v.Set(all)
	case reflect.Pointer:
		if !v.IsNil() {
			one := reflect.New(v.Type().Elem())
			one.Elem().Set(v.Elem())
			fill(one.Elem())
			v.Set(one)
		}
	}
}
