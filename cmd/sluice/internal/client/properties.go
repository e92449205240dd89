package client

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseProperties reads text in the format of Java's property files (class java.util.Properties):
// one key and value per line, separated by =, : or white space; lines that begin with # or ! are
// comments; a backslash joins lines and escapes. Later lines win.
func ParseProperties(text string) (map[string]string, error) {
	props := map[string]string{}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimLeft(lines[i], " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		first := i + 1
		for continued(line) && i+1 < len(lines) {
			i++
			line = line[:len(line)-1] + strings.TrimLeft(lines[i], " \t\f")
		}
		key, rest, err := property(line, true)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", first, err)
		}
		value, _, err := property(separated(rest), false)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", first, err)
		}
		props[key] = value
	}
	return props, nil
}

// continued reports whether a line ends in an odd number of backslashes.
func continued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// separated drops what stands between key and value: white space and at most one = or :.
func separated(rest string) string {
	rest = strings.TrimLeft(rest, " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	return rest
}

// property resolves escapes up to the end of the text or, for a key, up to the separator.
func property(text string, key bool) (token, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if key && strings.IndexByte("=: \t\f", c) >= 0 {
			return b.String(), text[i:], nil
		}
		if c != '\\' || i+1 == len(text) {
			if c != '\\' {
				b.WriteByte(c)
			}
			continue
		}
		i++
		switch text[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			if i+4 >= len(text) {
				return "", "", fmt.Errorf("\\u needs four hexadecimal digits")
			}
			n, err := strconv.ParseUint(text[i+1:i+5], 16, 16)
			if err != nil {
				return "", "", fmt.Errorf("\\u needs four hexadecimal digits")
			}
			b.WriteRune(rune(n))
			i += 4
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), "", nil
}
