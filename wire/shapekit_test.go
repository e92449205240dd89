package wire

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// eachShape calls f for every version of a shape that the library knows too.
func eachShape(t testing.TB, f func(s shapeCase)) {
	t.Helper()
	for _, row := range shapeTexts {
		api := APIByKey(row.key)
		body := parseShape(api.Name, row.text)
		for v := api.RealMin; v <= api.MaxVersion; v++ {
			q := kmsg.RequestForKey(row.key)
			if v > q.MaxVersion() {
				t.Logf("%s v%d: the library does not know it", api.Name, v)
				continue
			}
			f(shapeCase{api: api, version: v, body: body})
		}
	}
}

// shapeCase is one version of one message.
type shapeCase struct {
	api     *API
	version int16
	body    *shapeField
}

func (s shapeCase) String() string { return fmt.Sprintf("%s v%d", s.api.Name, s.version) }

func (s shapeCase) flexible() bool { return s.api.Flexible(s.version) }

func (s shapeCase) newRequest() kmsg.Request {
	q := kmsg.RequestForKey(s.api.Key)
	q.SetVersion(s.version)
	return q
}

func (s shapeCase) after(body []byte) ([]byte, error) { return afterShape(s.api.Key, s.version, body) }

// agree holds the walk against the library, and returns the walk's error. What the walk accepts, the
// library must decode, reading as many bytes. It is not asked about what the walk refuses.
func (s shapeCase) agree(t *testing.T, body []byte) error {
	t.Helper()
	rest, err := s.after(body)
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("%v: %v is no ErrMalformed", s, err)
		}
		return err
	}
	q := s.newRequest()
	if err := q.ReadFrom(body); err != nil {
		t.Fatalf("%v: only the walk accepts %x: %v", s, body, err)
	}
	if n := elements(reflect.ValueOf(q)); n > len(body) {
		t.Fatalf("%v: %d elements and tagged fields in %d bytes: %x", s, n, len(body), body)
	}
	whole := body[: len(body)-len(rest) : len(body)-len(rest)]
	if err := s.newRequest().ReadFrom(whole); err != nil {
		t.Fatalf("%v: the library reads on after %d bytes of %x", s, len(whole), body)
	}
	if len(whole) > 0 && s.newRequest().ReadFrom(whole[:len(whole)-1]) == nil {
		t.Fatalf("%v: the library has read all before %d bytes of %x", s, len(whole), body)
	}
	return nil
}

// elements counts what a decoded message has of elements of lists and of tagged fields.
func elements(v reflect.Value) (n int) {
	if tags, ok := v.Interface().(kmsg.Tags); ok {
		return tags.Len()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n = elements(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			n += elements(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return 0
		}
		n = v.Len()
		for i := range v.Len() {
			n += elements(v.Index(i))
		}
	}
	return n
}

// dice fill requests. No byte of a number has its high bit set, so that no varint which a changed byte
// begins is long, and the library, which counts down from whatever it takes for a number of tagged
// fields, soon ends also where it is wrong.
type dice struct {
	*rand.Rand
	textBytesMax int
}

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 1)), 9} }

func (d dice) number() uint64 { return d.Uint64() & 0x7f7f7f7f7f7f7f7f }

func (d dice) text() []byte {
	b := make([]byte, d.IntN(d.textBytesMax+1))
	for i := range b {
		b[i] = 'a' + byte(d.IntN(26))
	}
	return b
}

// fill sets every field below v, also those that the version does not have.
func (d dice) fill(v reflect.Value) {
	if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
		for range d.IntN(4) - 1 {
			tags.Set(uint32(d.IntN(300)), d.text())
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(d.IntN(2) == 1)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(d.number()) >> (64 - v.Type().Bits()))
	case reflect.Uint8:
		v.SetUint(d.number() & 0x7f)
	case reflect.String:
		v.SetString(string(d.text()))
	case reflect.Pointer:
		if d.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			d.fill(v.Elem())
		}
	case reflect.Slice:
		if n := d.IntN(5) - 1; n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				d.fill(v.Index(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			d.fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Version" {
				d.fill(v.Field(i))
			}
		}
	default:
		panic("BUG: no dice for " + v.Type().String())
	}
}

func (s shapeCase) random(d dice) []byte {
	q := s.newRequest()
	d.fill(reflect.ValueOf(q).Elem())
	return q.AppendTo(nil)
}

// write appends what the table says of f, as the library would encode it. Tagged fields are in order.
func (d dice) write(dst []byte, s shapeCase, f *shapeField) []byte {
	if s.version < f.from || s.version > f.to {
		return dst
	}
	null := s.version >= f.nullFrom && s.version <= f.nullTo && d.IntN(3) == 0
	switch {
	case null && s.flexible() && (f.list || f.scalar != ""):
		return append(dst, 0)
	case null && f.list:
		return appendInt32(dst, -1)
	case null && f.scalar != "":
		return appendInt16(dst, -1)
	case null:
		return append(dst, 0xff)
	case f.list:
		n := d.IntN(4)
		dst = appendCount(dst, n, s.flexible())
		for range n {
			dst = d.writeValue(dst, s, f)
		}
		return dst
	case f.scalar == "" && f.path != "":
		dst = append(dst, 1)
	}
	return d.writeValue(dst, s, f)
}

func (d dice) writeValue(dst []byte, s shapeCase, f *shapeField) []byte {
	switch f.scalar {
	case "bool":
		return append(dst, byte(d.IntN(2)))
	case "string":
		return appendString(dst, d.text(), s.flexible())
	case "bytes":
		b := d.text()
		if s.flexible() {
			return appendString(dst, b, true)
		}
		return append(appendInt32(dst, int32(len(b))), b...)
	case "":
		for _, inner := range f.fields {
			dst = d.write(dst, s, inner)
		}
		if s.flexible() {
			n := max(0, d.IntN(5)-2)
			dst = append(dst, byte(n))
			for i := range n {
				x := d.text()
				dst = append(append(dst, byte(i), byte(len(x))), x...)
			}
		}
		return dst
	}
	for range scalarBytes[f.scalar] {
		dst = append(dst, byte(d.IntN(128)))
	}
	return dst
}

// lists appends the lists in f.
func (f *shapeField) lists(all []*shapeField) []*shapeField {
	if f.list {
		all = append(all, f)
	}
	for _, inner := range f.fields {
		all = inner.lists(all)
	}
	return all
}

// bulk appends f with n elements in one list, one in the lists around it and none in any other. Each of
// the n takes the least that it can, and has that many tagged fields.
func (s shapeCase) bulk(dst []byte, f, list *shapeField, n, tags int) []byte {
	count := 1
	switch {
	case s.version < f.from || s.version > f.to:
		return dst
	case f == list:
		count = n
	case f.list && !slices.Contains(f.lists(nil), list):
		count = 0
	}
	if f.list {
		dst = appendCount(dst, count, s.flexible())
	} else if f.scalar == "" && f.path != "" {
		dst = append(dst, 1)
	}
	for range count {
		dst = s.bulkValue(dst, f, list, n, tags)
	}
	return dst
}

func (s shapeCase) bulkValue(dst []byte, f, list *shapeField, n, tags int) []byte {
	switch f.scalar {
	case "string":
		return appendString(dst, "", s.flexible())
	case "bytes":
		return appendCount(dst, 0, s.flexible())
	case "":
		for _, inner := range f.fields {
			dst = s.bulk(dst, inner, list, n, tags)
		}
		if f != list {
			tags = 0
		}
		if s.flexible() {
			dst = appendUvarint(dst, uint32(tags))
			for i := range tags {
				dst = append(appendUvarint(dst, uint32(i)), 0)
			}
		}
		return dst
	}
	return append(dst, make([]byte, scalarBytes[f.scalar])...)
}

// find returns the field below f that has the path, or nil.
func (f *shapeField) find(path string) *shapeField {
	if f.path == path {
		return f
	}
	for _, inner := range f.fields {
		if found := inner.find(path); found != nil {
			return found
		}
	}
	return nil
}
