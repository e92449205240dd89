package lines

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func read(src io.Reader, delim string, maxBytes int) ([]string, error) {
	r := NewReader(src, []byte(delim), maxBytes)
	var kept [][]byte
	var err error
	for {
		var line []byte
		if line, err = r.Next(); err != nil {
			break
		}
		kept = append(kept, line)
	}
	// Only now are the lines looked at: none may have changed since it was handed out.
	var out []string
	for _, line := range kept {
		out = append(out, string(line))
	}
	return out, err
}

func TestLinesAreKeptByteForByte(t *testing.T) {
	f := func(text, delim string, want ...string) {
		t.Helper()
		for name, src := range map[string]io.Reader{
			"whole": strings.NewReader(text),
			"bytes": iotest.OneByteReader(strings.NewReader(text)),
			"eof":   iotest.DataErrReader(strings.NewReader(text)),
		} {
			got, err := read(src, delim, 100)
			if err != io.EOF || strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
				t.Errorf("%s %q: got %q, %v; want %q", name, text, got, err, want)
			}
		}
	}
	f("", "\n")
	f("\n", "\n", "")
	f("a\nb\n", "\n", "a", "b")
	f("a\nb", "\n", "a", "b")
	f("a\r\n\n\xff\x00b\n", "\n", "a\r", "", "\xff\x00b")
	f("a;;b;c;;", ";;", "a", "b;c")
	f("a;", ";;", "a;")
	f("ab\x00c", "\x00", "ab", "c")
}

func TestLongLines(t *testing.T) {
	f := func(n, maxBytes int, ok bool) {
		t.Helper()
		text := "x\n" + strings.Repeat("y", n) + "\nz"
		got, err := read(strings.NewReader(text), "\n", maxBytes)
		if ok && (err != io.EOF || len(got) != 3 || len(got[1]) != n) {
			t.Errorf("%d of %d: %d lines, %v", n, maxBytes, len(got), err)
		}
		var long *TooLongError
		if !ok && (!errors.As(err, &long) || long.Line != 2 || len(got) != 1) {
			t.Errorf("%d of %d: %d lines, %v", n, maxBytes, len(got), err)
		}
	}
	f(10, 10, true)
	f(11, 10, false)
	f(12, 10, false)
	f(3<<20, 3<<20, true)
	f(3<<20+1, 3<<20, false)
	f(5<<20, 1<<20, false)
}

func TestReadErrorKeepsTheWholeLinesBeforeIt(t *testing.T) {
	broken := errors.New("broken")
	src := io.MultiReader(strings.NewReader("a\nhalf"), iotest.ErrReader(broken))
	got, err := read(src, "\n", 100)
	if err != broken || len(got) != 1 {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestManyBlocks sends more than one block through and compares with what went in.
func TestManyBlocks(t *testing.T) {
	var text bytes.Buffer
	for i := range 200_000 {
		text.WriteString(strings.Repeat(string(rune('a'+i%26)), i%37))
		text.WriteByte('\n')
	}
	got, err := read(bytes.NewReader(text.Bytes()), "\n", 1000)
	if err != io.EOF || strings.Join(got, "\n")+"\n" != text.String() {
		t.Errorf("%d lines, %v", len(got), err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add("a\nb\n\nc", "\n", 3)
	f.Add("a;;b;;;c", ";;", 2)
	f.Fuzz(func(t *testing.T, text, delim string, maxBytes int) {
		if delim == "" || maxBytes < 0 || maxBytes > 1<<20 {
			return
		}
		got, err := read(iotest.HalfReader(strings.NewReader(text)), delim, maxBytes)
		want := strings.Split(text, delim)
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		for i, w := range want {
			if len(w) > maxBytes {
				var long *TooLongError
				if !errors.As(err, &long) || long.Line != int64(i)+1 {
					t.Fatalf("line %d has %d bytes: %v", i+1, len(w), err)
				}
				want = want[:i]
				break
			}
		}
		if strings.Join(got, "\x01") != strings.Join(want, "\x01") {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", 100_000))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(bytes.NewReader(text), []byte{'\n'}, 1<<20)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}
