package workload

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// longDuration is how long the long variant of a workload without a section of its own measures:
// long enough for the page cache to have been written back more than once.
const longDuration = 150 * time.Second

// byteOptions take numbers of bytes, so "64KiB" is as good as 65536.
var byteOptions = []string{"batch_bytes", "fetch_bytes", "fetch_min_bytes", "preload"}

// Parse reads a workload file: YAML with the options of a Spec by name, and a section "long" with
// those that differ in the long variant. A file without that section is made long by a measured time
// of at least 150 s. Unknown and repeated options are refused. The spec is complete and valid; given
// holds the options that the file had, for who lays flags over them with Complete. Errors name the
// file, the line and the option.
func Parse(file string, text []byte, long bool) (s Spec, given map[string]bool, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return s, nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return s, nil, fmt.Errorf("%s: is not a workload: must be a mapping of options to values", file)
	}
	r := &fileReader{file: file, lines: map[string]int{}}
	base, section := splitLong(doc.Content[0])
	if err := r.read(base, reflect.ValueOf(&s).Elem(), ""); err != nil {
		return s, nil, err
	}
	// The section is checked even if it is not asked for: a file is right or wrong as a whole.
	variant, lines := s, r.lines
	r.lines = map[string]int{}
	if section != nil {
		if err := r.read(section, reflect.ValueOf(&variant).Elem(), ""); err != nil {
			return s, nil, err
		}
	}
	sections := r.lines
	if long {
		s = variant
		for name, line := range sections {
			lines[name] = line
		}
	}
	s = s.Complete(func(name string) bool { return lines[name] > 0 })
	r.lines = lines
	given = r.given()
	if long && section == nil {
		s.lengthen()
		given["duration"], given["burst"] = true, s.Burst > 0
	}
	return s, given, r.valid(s)
}

// lengthen makes a run sustained.
func (s *Spec) lengthen() {
	if s.Duration < Duration(longDuration) {
		s.Duration = Duration(longDuration)
	}
	if s.Mode == Produce && s.Burst == 0 {
		s.Burst = Duration(30 * time.Second)
	}
}

// splitLong takes the section "long" out of the options.
func splitLong(options *yaml.Node) (base, long *yaml.Node) {
	rest := *options
	rest.Content = nil
	for i := 0; i+1 < len(options.Content); i += 2 {
		if options.Content[i].Value == "long" && long == nil {
			long = options.Content[i+1]
			continue
		}
		rest.Content = append(rest.Content, options.Content[i:i+2]...)
	}
	return &rest, long
}

// fileReader reads options into fields and remembers where each stood.
type fileReader struct {
	file  string
	lines map[string]int
}

// read sets the fields of a struct by their YAML names. The prefix is the enclosing option's name.
func (r *fileReader) read(options *yaml.Node, into reflect.Value, prefix string) error {
	if options.Kind != yaml.MappingNode {
		return r.errorf(options.Line, "must be a mapping of options to values")
	}
	for i := 0; i+1 < len(options.Content); i += 2 {
		key, value := options.Content[i], options.Content[i+1]
		field, names := fieldNamed(into, key.Value)
		name := prefix + key.Value
		if !field.IsValid() {
			return r.errorf(key.Line, "there is no option %q; there are %s", name, strings.Join(names, ", "))
		}
		if r.lines[name] > 0 {
			return r.errorf(key.Line, "the option %s was given in line %d already", name, r.lines[name])
		}
		r.lines[name] = key.Line
		if name == "search" {
			s := &Search{}
			if err := r.read(value, reflect.ValueOf(s).Elem(), "search_"); err != nil {
				return err
			}
			field.Set(reflect.ValueOf(s))
			continue
		}
		if err := decode(name, value, field); err != nil {
			return r.errorf(value.Line, "%s: %s: %w", name, value.Value, err)
		}
	}
	return nil
}

func (r *fileReader) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", r.file, line, fmt.Errorf(format, args...))
}

// decode sets one field.
func decode(name string, value *yaml.Node, field reflect.Value) error {
	if slices.Contains(byteOptions, name) {
		n, err := ParseBytes(value.Value)
		if err != nil {
			return errors.New("must be a number of bytes, such as 65536 or 64KiB")
		}
		field.SetInt(n)
		return nil
	}
	if value.Decode(field.Addr().Interface()) == nil && value.Tag != "!!null" {
		return nil
	}
	switch {
	case field.Type() == reflect.TypeFor[Duration]():
		return errors.New("must be a time such as 500ms or 30s")
	case field.Kind() == reflect.Int, field.Kind() == reflect.Int64, field.Kind() == reflect.Uint64:
		return errors.New("must be a whole number")
	case field.Kind() == reflect.Float64:
		return errors.New("must be a number")
	case field.Kind() == reflect.Bool:
		return errors.New("must be true or false")
	case field.Kind() == reflect.Map:
		return errors.New("must be a mapping of names to values")
	default:
		return errors.New("must be a text")
	}
}

// fieldNamed finds a field by its YAML name, and gives all names.
func fieldNamed(v reflect.Value, name string) (field reflect.Value, names []string) {
	for i := range v.NumField() {
		known := fieldName(v.Type().Field(i))
		if known == "" {
			continue
		}
		names = append(names, known)
		if known == name {
			field = v.Field(i)
		}
	}
	return field, names
}

// valid words what Validate found as the file has it.
func (r *fileReader) valid(s Spec) error {
	err := s.Validate()
	var option *OptionError
	if !errors.As(err, &option) {
		return err
	}
	line, ok := r.lines[option.Option]
	if !ok {
		return fmt.Errorf("%s: %s", r.file, option.InFile())
	}
	return r.errorf(line, "%s", option.InFile())
}

func (r *fileReader) given() map[string]bool {
	given := map[string]bool{}
	for name := range r.lines {
		given[name] = true
	}
	return given
}

// WriteYAML writes the spec as a workload file with every option, defaults included.
func (s Spec) WriteYAML(w io.Writer) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(s); err != nil {
		return err
	}
	return e.Close()
}
