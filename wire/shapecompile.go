package wire

import (
	"math"
	"strconv"
	"strings"
	"sync"
)

// shapeField is a field of the table's text, for all versions of its message.
type shapeField struct {
	api, path string
	// scalar is the type of the field, or of its elements if it is a list; empty for structs, which
	// have fields.
	scalar string
	list   bool
	fields []*shapeField
	// from and to are the versions that have the field, nullFrom and nullTo those that may have null
	// there.
	from, to         int16
	nullFrom, nullTo int16
}

// scalarBytes are the sizes of the types that have one.
var scalarBytes = map[string]int{
	"bool": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "float64": 8, "uuid": 16,
}

// shapes has the compiled shapes by API key and, from the API's RealMin on, version.
var shapes = sync.OnceValue(func() *[len(apiTable)][][]shape {
	var all [len(apiTable)][][]shape
	for _, row := range shapeTexts {
		api := &apiTable[row.key]
		body := parseShape(api.Name, row.text)
		for v := api.RealMin; v <= api.MaxVersion; v++ {
			all[row.key] = append(all[row.key], body.compileFields(v, api.Flexible(v)))
		}
	}
	return &all
})

// shapeOf returns the fields of a request's body, or nil if there is no such version, or no shape.
func shapeOf(key, version int16) []shape {
	all := shapes()
	if key < 0 || int(key) >= len(all) {
		return nil
	}
	i := int(version) - int(apiTable[key].RealMin)
	if i < 0 || i >= len(all[key]) {
		return nil
	}
	return all[key][i]
}

// parseShape reads one message of the table; shapeTexts says how it is written.
func parseShape(api, text string) *shapeField {
	top := &shapeField{api: api}
	open := []*shapeField{top}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "}" {
			open = open[:len(open)-1]
			continue
		}
		outer := open[len(open)-1]
		f := parseShapeField(outer, words)
		outer.fields = append(outer.fields, f)
		if f.scalar == "" {
			open = append(open, f)
		}
	}
	if len(open) != 1 {
		panic("BUG: the braces in the shape of " + api)
	}
	return top
}

func parseShapeField(outer *shapeField, words []string) *shapeField {
	f := &shapeField{
		api: outer.api, path: strings.TrimPrefix(outer.path+"."+words[0], "."),
		to: math.MaxInt16, nullTo: -1,
	}
	if len(words) < 2 {
		panic("BUG: the shape of " + f.api + " at " + f.path)
	}
	f.scalar, f.list = strings.CutPrefix(words[1], "[]")
	f.scalar = strings.TrimSuffix(f.scalar, "{") // What has fields of its own has no scalar.
	for _, word := range words[2:] {
		if versions, ok := strings.CutPrefix(word, "?"); ok {
			f.nullFrom, f.nullTo = parseVersions(f, versions)
			continue
		}
		f.from, f.to = parseVersions(f, word)
	}
	return f
}

// parseVersions reads "2-4", "7+" or nothing, which is all versions.
func parseVersions(f *shapeField, s string) (from, to int16) {
	if s == "" {
		return 0, math.MaxInt16
	}
	first, last, bounded := strings.Cut(s, "-")
	if !bounded {
		first = strings.TrimSuffix(s, "+")
		last = strconv.Itoa(math.MaxInt16)
	}
	a, err := strconv.ParseInt(first, 10, 16)
	b, err2 := strconv.ParseInt(last, 10, 16)
	if err != nil || err2 != nil || a > b || !bounded && !strings.HasSuffix(s, "+") {
		panic("BUG: versions " + s + " in the shape of " + f.api + " at " + f.path)
	}
	return int16(a), int16(b)
}

// compileFields returns what a version has of a struct's fields, and the tagged fields that end them if
// it is flexible. It never returns nil: a message may have no fields.
func (f *shapeField) compileFields(version int16, flexible bool) []shape {
	out := make([]shape, 0, len(f.fields)+1)
	for _, inner := range f.fields {
		if version < inner.from || version > inner.to {
			continue
		}
		s := inner.compile(version, flexible)
		if last := len(out) - 1; s.kind == shapeFixed && last >= 0 && out[last].kind == shapeFixed {
			out[last].bytesMin += s.bytesMin
			continue
		}
		out = append(out, s)
	}
	if flexible {
		out = append(out, shape{kind: shapeTags, bytesMin: 1, at: f.errorAt("tagged fields")})
	}
	return out
}

func (f *shapeField) compile(version int16, flexible bool) shape {
	s := f.compileValue(version, flexible)
	if f.list {
		s = listOf(s, flexible)
	}
	s.null = version >= f.nullFrom && version <= f.nullTo
	s.at = f.errorAt("")
	return s
}

// compileValue returns the shape of the field, or of an element if it is a list.
func (f *shapeField) compileValue(version int16, flexible bool) shape {
	switch size := scalarBytes[f.scalar]; {
	case f.scalar == "":
		return shape{kind: shapeStruct, bytesMin: 1, of: f.compileFields(version, flexible)}
	case size > 0:
		return shape{kind: shapeFixed, bytesMin: size}
	case f.scalar != "string" && f.scalar != "bytes":
		panic("BUG: type " + f.scalar + " in the shape of " + f.api + " at " + f.path)
	case flexible:
		return shape{kind: shapeCompact, bytesMin: 1}
	case f.scalar == "string":
		return shape{kind: shapeText, bytesMin: 2}
	default:
		return shape{kind: shapeBytes, bytesMin: 4}
	}
}

// listOf returns the shape of a list of such elements. An element that is a struct is always there.
func listOf(element shape, flexible bool) shape {
	list := shape{kind: shapeList, bytesMin: 4, of: []shape{element}}
	if element.kind == shapeStruct {
		list.of = element.of
	}
	for i := range list.of {
		list.ofBytesMin += list.of[i].bytesMin
	}
	list.ofFixed = len(list.of) == 1 && list.of[0].kind == shapeFixed
	if flexible {
		list.kind, list.bytesMin = shapeCompactList, 1
	}
	if list.ofBytesMin == 0 {
		panic("BUG: a list of nothing has no bound")
	}
	return list
}

func (f *shapeField) errorAt(part string) *shapeError {
	path := strings.TrimPrefix(f.path+"."+part, ".")
	return &shapeError{api: f.api, field: strings.TrimSuffix(path, ".")}
}
