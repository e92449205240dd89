// Package kopt reads a command line as Kafka's own shell tools read theirs: every option has a
// long name, its value stands in the next word or behind an equals sign, some options may stand
// without their value, and the order of words does not matter. Kafka leaves this to jopt-simple,
// whose rules differ from those of Go's flag packages just enough to break scripts: a required
// value may begin with a dash (`--time -2`), an optional one may not, and there are no short or
// bundled forms.
package kopt

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

// Kind says what an option expects behind its name.
type Kind uint8

const (
	// Flag takes no value.
	Flag Kind = iota
	// Value takes the next word, whatever it looks like, or the text behind an equals sign.
	Value
	// Optional takes the next word unless it begins with a dash.
	Optional
)

// Option declares one option of a tool.
type Option struct {
	// Name is the option without its dashes.
	Name string
	Kind Kind
	// Arg names the value in the usage text, such as "topic".
	Arg string
	// Help is one or more sentences for the usage text. An option without one is accepted and
	// hidden.
	Help string
	// Short is a one-letter form, as kafka-cluster has them; empty for none.
	Short string
}

// Set is the options of one tool.
type Set struct {
	options map[string]*Option
}

// NewSet returns the set of the given options. It panics if two share a name.
func NewSet(options ...Option) *Set {
	s := &Set{options: make(map[string]*Option, len(options))}
	for i := range options {
		o := &options[i]
		for _, name := range []string{o.Name, o.Short} {
			if name == "" {
				continue
			}
			if s.options[name] != nil {
				panic("BUG: option declared twice: " + name)
			}
			s.options[name] = o
		}
	}
	return s
}

// Error is a command line that does not follow the tool's options. Its text is one line.
type Error string

// Error returns the text.
func (e Error) Error() string { return string(e) }

// Errorf returns an Error.
func Errorf(format string, args ...any) error { return Error(fmt.Sprintf(format, args...)) }

// Line is a parsed command line.
type Line struct {
	values map[string][]string
	// Rest holds the words that belong to no option, in order.
	Rest []string
}

// Parse reads the words behind the tool's name. A word "--" ends the options. The error is an Error
// worded as Kafka words it.
func (s *Set) Parse(words []string) (*Line, error) {
	line := &Line{values: map[string][]string{}}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			line.Rest = append(line.Rest, words[i+1:]...)
			break
		}
		if len(word) < 2 || word[0] != '-' {
			line.Rest = append(line.Rest, word)
			continue
		}
		name, value, glued := strings.Cut(strings.TrimLeft(word, "-"), "=")
		o := s.options[name]
		if o == nil || (o.Short != name && !strings.HasPrefix(word, "--")) {
			return nil, Errorf("%s is not a recognized option", name)
		}
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch {
		case o.Kind == Flag && glued:
			return nil, Errorf("Option %s takes no argument", name)
		case o.Kind == Flag, glued:
		case o.Kind == Value && i+1 == len(words):
			return nil, Errorf("Option %s requires an argument", name)
		case o.Kind == Value || (i+1 < len(words) && !strings.HasPrefix(next, "-")):
			value = next
			i++
		}
		line.values[o.Name] = append(line.values[o.Name], value)
	}
	return line, nil
}

// Has reports whether the option was given.
func (l *Line) Has(name string) bool { return l.values[name] != nil }

// Get returns the option's last value, or the empty string.
func (l *Line) Get(name string) string { return l.GetOr(name, "") }

// GetOr returns the option's last value, or the default if it was not given.
func (l *Line) GetOr(name, otherwise string) string {
	if v := l.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return otherwise
}

// All returns every value of an option that may be repeated, in order.
func (l *Line) All(name string) []string { return l.values[name] }

// Int returns the option's value as a number of the given size in bits, or the default if it was
// not given.
func (l *Line) Int(name string, bits int, otherwise int64) (int64, error) {
	if !l.Has(name) {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(l.Get(name), 10, bits)
	if err != nil {
		return 0, Errorf("Cannot parse argument '%s' of option %s", l.Get(name), name)
	}
	return n, nil
}

// Require returns an Error if one of the options is missing.
func (l *Line) Require(names ...string) error {
	for _, name := range names {
		if !l.Has(name) {
			return Errorf("Missing required argument \"[%s]\"", name)
		}
	}
	return nil
}

// Forbid returns an Error if the option stands beside one of the others.
func (l *Line) Forbid(name string, others ...string) error {
	for _, other := range others {
		if l.Has(name) && l.Has(other) {
			return Errorf("Option \"[%s]\" can't be used with option \"[%s]\"", name, other)
		}
	}
	return nil
}

// Pairs returns the values of a repeatable option as key=value pairs, later ones last.
func (l *Line) Pairs(name string) ([][2]string, error) {
	var pairs [][2]string
	for _, v := range l.All(name) {
		key, value, ok := strings.Cut(v, "=")
		if !ok || key == "" {
			return nil, Errorf("Invalid value '%s' of option %s: must be in the format key=value", v, name)
		}
		pairs = append(pairs, [2]string{key, value})
	}
	return pairs, nil
}

// Usage writes a table of the options, sorted by name.
func (s *Set) Usage(w io.Writer) {
	names := make([]string, 0, len(s.options))
	width := 0
	for name, o := range s.options {
		if o.Help != "" && name == o.Name {
			names = append(names, name)
			width = max(width, len(o.heading()))
		}
	}
	sort.Strings(names)
	for _, name := range names {
		o := s.options[name]
		for i, line := range wrap(o.Help, 96-width) {
			heading := ""
			if i == 0 {
				heading = o.heading()
			}
			fmt.Fprintf(w, "  %-*s  %s\n", width, heading, line)
		}
	}
}

func (o *Option) heading() string {
	h := "--" + o.Name
	if o.Short != "" {
		h = "-" + o.Short + ", " + h
	}
	switch o.Kind {
	case Value:
		h += " <" + o.Arg + ">"
	case Optional:
		h += " [" + o.Arg + "]"
	}
	return h
}

// wrap breaks a text into lines of at most the given width where words allow it.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
