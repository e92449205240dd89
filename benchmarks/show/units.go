package show

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// nanos prints a time with three significant digits in the unit that suits it: 812ns, 1.42µs,
// 20.3ms, 3.00s, 412s.
func nanos(ns float64) string {
	switch {
	case ns < 1e3:
		return fmt.Sprintf("%.0fns", ns)
	case ns < 999.5e3:
		return digits(ns/1e3) + "µs"
	case ns < 999.5e6:
		return digits(ns/1e6) + "ms"
	default:
		return digits(ns/1e9) + "s"
	}
}

// digits prints a positive number with three significant digits, and whole from 100 on.
func digits(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// count prints a number with commas: 1,234,567.
func count(v float64) string {
	text := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return sign + text
}

// bytes prints a size in powers of 1000: 512 B, 1.50 kB, 20.3 MB, 4.10 GB.
func bytes(b float64) string {
	switch a := math.Abs(b); {
	case a < 1e3:
		return fmt.Sprintf("%.0f B", b)
	case a < 999.5e3:
		return digits(b/1e3) + " kB"
	case a < 999.5e6:
		return digits(b/1e6) + " MB"
	case a < 999.5e9:
		return digits(b/1e9) + " GB"
	default:
		return digits(b/1e12) + " TB"
	}
}

// percent prints a share.
func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// width is the number of columns of a text.
func width(s string) int { return len([]rune(s)) }

// grid writes rows in columns, without trailing blanks. The first column and those of words, whose
// heading is empty, are aligned left, the others right.
func grid(b *strings.Builder, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(cell))
		}
	}
	for _, row := range rows {
		line := "  "
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-width(cell))
			switch {
			case i == 0:
				line += cell + pad
			case i < len(rows[0]) && rows[0][i] == "":
				line += "  " + cell + pad
			default:
				line += "  " + pad + cell
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// wrapped joins words with commas into lines of at most so many columns, two blanks before each.
func wrapped(words []string, columns int) string {
	text, at := " ", 1
	for i, word := range words {
		if i < len(words)-1 {
			word += ","
		}
		if at+1+width(word) > columns && at > 1 {
			text, at = text+"\n ", 1
		}
		text, at = text+" "+word, at+1+width(word)
	}
	return text + "\n"
}
