package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Property is one setting of a properties file.
type Property struct {
	Key, Value string
	Line       int // Where it begins, counted from 1.
}

// ParseProperties reads the syntax of Java's Properties: lines whose first character is # or ! are
// comments; a key ends at the first =, : or blank that no backslash precedes; a backslash at the
// end of a line continues it, and the next line's leading blanks are dropped; \t \n \r \f and
// \uXXXX are characters, and any other character after a backslash is itself. Settings come in the
// order of the file, repeated keys included. Only a malformed \u is an error; it names its line.
func ParseProperties(text string) ([]Property, error) {
	var all []Property
	lines := splitLines(text)
	for i := 0; i < len(lines); i++ {
		first := i
		line := trimBlanks(lines[i])
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		var logical strings.Builder
		for continues(line) && i+1 < len(lines) {
			logical.WriteString(line[:len(line)-1])
			i++
			line = trimBlanks(lines[i])
		}
		if continues(line) {
			line = line[:len(line)-1]
		}
		logical.WriteString(line)
		p, err := parseProperty(logical.String())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", first+1, err)
		}
		p.Line = first + 1
		all = append(all, p)
	}
	return all, nil
}

// splitLines splits at \n, \r\n and \r.
func splitLines(text string) []string {
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
}

const blanks = " \t\f"

func trimBlanks(line string) string { return strings.TrimLeft(line, blanks) }

// continues says whether a line ends in an odd number of backslashes.
func continues(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// parseProperty splits a logical line into key and value.
func parseProperty(line string) (Property, error) {
	end := 0
	for end < len(line) && !strings.ContainsRune("=:"+blanks, rune(line[end])) {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(line))
	rest := trimBlanks(line[end:])
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = trimBlanks(rest[1:])
	}
	key, err := unescape(line[:end])
	if err != nil {
		return Property{}, err
	}
	value, err := unescape(rest)
	return Property{Key: key, Value: value}, err
}

// unescape resolves backslashes.
func unescape(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return strings.ToValidUTF8(text, "\ufffd"), nil
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		i++
		switch text[i] {
		case 't':
			out.WriteByte('\t')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 'f':
			out.WriteByte('\f')
		case 'u':
			r, used, err := unicodeEscape(text[i-1:])
			if err != nil {
				return "", err
			}
			out.WriteRune(r)
			i += used - 2
		default:
			out.WriteByte(text[i])
		}
	}
	return strings.ToValidUTF8(out.String(), "\ufffd"), nil
}

// unicodeEscape reads the \uXXXX that text begins with, or two that are a surrogate pair.
func unicodeEscape(text string) (r rune, used int, err error) {
	unit, err := hexUnit(text)
	if err != nil {
		return 0, 0, err
	}
	if !utf16.IsSurrogate(unit) {
		return unit, 6, nil
	}
	if strings.HasPrefix(text[6:], `\u`) {
		if low, err := hexUnit(text[6:]); err == nil {
			if pair := utf16.DecodeRune(unit, low); pair != utf8.RuneError {
				return pair, 12, nil
			}
		}
	}
	return utf8.RuneError, 6, nil
}

func hexUnit(text string) (rune, error) {
	if len(text) >= 6 {
		if n, err := strconv.ParseUint(text[2:6], 16, 16); err == nil {
			return rune(n), nil
		}
	}
	return 0, fmt.Errorf(`malformed \u escape: want four hexadecimal digits in %q`, shorten(text))
}
