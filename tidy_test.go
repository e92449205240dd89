// Package sluice holds no code of its own: this test is the house's caretaker. It walks the tree
// and fails on an import between rooms that the floor plan does not allow, on files and functions
// over their ceiling, on over-long lines, on undocumented packages and exported names, and on marks
// of unfinished work.
// docs/ARCHITECTURE.md draws the plan that the table below holds.
package sluice

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

const (
	fileLinesMax     = 800
	functionLinesMax = 70
	lineColumnsMax   = 110
	tabColumns       = 4
)

// rooms lists, per room, the other rooms it may import. A folder belongs to the room with the
// longest matching name; folders inside one room may import each other.
var rooms = map[string][]string{
	"wire":               {},
	"netpoll":            {},
	"pagecache":          {},
	"replication":        {"wire"},
	"engine/catalog":     {},
	"engine/coordinator": {"wire"},
	"engine/group":       {"engine/coordinator", "wire"},
	"engine/txn":         {"engine/coordinator", "wire"},
	"engine/security":    {},
	"engine/partition":   {"pagecache", "wire"},
	"engine/broker":      {"wire", "netpoll", "pagecache", "replication", "engine/catalog", "engine/partition", "engine/coordinator", "engine/group", "engine/txn", "engine/security"},
	"benchmarks":         {"wire", "tuning"},
	"tuning":             {},
	"internal/testutil":  {},
	"interop":            {"wire"},
	"scripts":            {"wire"},
	"cmd":                {"engine/broker", "engine/catalog", "engine/partition", "benchmarks", "tuning", "wire", "pagecache", "netpoll"},
	"cmd/sluice/e2etest": {"wire"},
}

// onlyInTests are rooms that tests of any floor may also import.
var onlyInTests = map[string][]string{
	"engine/broker": {"internal/testutil"},
	"cmd":           {"internal/testutil"},
}

// functionExceptions names functions that may be longer than the ceiling, each with its why.
var functionExceptions = map[string]string{}

// fileExceptions names files that may be longer than the ceiling, each with its why.
var fileExceptions = map[string]string{}

// packageRules limit standard-library imports that would break a promise of a pure room.
var packageRules = map[string][]string{
	"replication":        {"os", "net", "syscall", "math/rand", "math/rand/v2", "golang.org/x/sys/unix"},
	"engine/coordinator": {"os", "net", "syscall", "math/rand", "math/rand/v2", "golang.org/x/sys/unix"},
	"engine/group":       {"os", "net", "syscall", "math/rand", "math/rand/v2", "golang.org/x/sys/unix"},
	"engine/txn":         {"os", "net", "syscall", "math/rand", "math/rand/v2", "golang.org/x/sys/unix"},
	"engine/catalog":     {"os", "net", "syscall", "math/rand", "math/rand/v2", "golang.org/x/sys/unix"},
	"wire":               {"os", "syscall", "golang.org/x/sys/unix"},
}

type goFile struct {
	path string
	text []byte
	ast  *ast.File
	fset *token.FileSet
	test bool
}

func TestTidy(t *testing.T) {
	files := parseTree(t)
	docs := map[string]bool{}
	for _, f := range files {
		checkImports(t, f)
		checkLengths(t, f)
		checkFunctions(t, f)
		checkExported(t, f)
		checkMarks(t, f)
		dir := filepath.ToSlash(filepath.Dir(f.path))
		docs[dir] = docs[dir] || f.ast.Doc != nil
	}
	for _, dir := range sortedKeys(docs) {
		if !docs[dir] {
			t.Errorf("%s: the package has no comment; say in doc.go what it is for", dir)
		}
	}
}

func parseTree(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != "." && skipDir(path, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, goFile{path, text, tree, fset, strings.HasSuffix(path, "_test.go")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("only %d Go files found: the walk itself is broken", len(files))
	}
	return files
}

func skipDir(path, name string) bool {
	if strings.HasPrefix(name, ".") || name == "data" || name == "bin" || name == "node_modules" {
		return true
	}
	// A nested module (clients that need cgo) has its own rules.
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

func roomOf(dir string) string {
	dir = filepath.ToSlash(dir)
	best := ""
	for room := range rooms {
		if (dir == room || strings.HasPrefix(dir, room+"/")) && len(room) > len(best) {
			best = room
		}
	}
	return best
}

func checkImports(t *testing.T, f goFile) {
	dir := filepath.Dir(f.path)
	if dir == "." {
		return
	}
	from := roomOf(dir)
	if from == "" {
		t.Errorf("%s: folder is in no room of the floor plan (tidy_test.go)", f.path)
		return
	}
	allowed := map[string]bool{from: true}
	for _, r := range rooms[from] {
		allowed[r] = true
	}
	if f.test {
		for _, r := range onlyInTests[from] {
			allowed[r] = true
		}
	}
	for _, spec := range f.ast.Imports {
		name := strings.Trim(spec.Path.Value, `"`)
		for _, banned := range packageRules[from] {
			if name == banned && !f.test {
				t.Errorf("%s: %s is pure and may not import %q", f.path, from, name)
			}
		}
		if inner, ok := strings.CutPrefix(name, "sluice/"); ok {
			if to := roomOf(inner); !allowed[to] {
				t.Errorf("%s: %s may not import %s (allowed: %v)", f.path, from, inner, rooms[from])
			}
		}
	}
}

func checkLengths(t *testing.T, f goFile) {
	scanner := bufio.NewScanner(bytes.NewReader(f.text))
	scanner.Buffer(nil, 1<<20)
	lines := 0
	for scanner.Scan() {
		lines++
		width := len([]rune(strings.ReplaceAll(scanner.Text(), "\t", strings.Repeat(" ", tabColumns))))
		if width > lineColumnsMax && !longLiteral(scanner.Text()) {
			t.Errorf("%s:%d: %d columns, ceiling %d", f.path, lines, width, lineColumnsMax)
		}
	}
	if lines > fileLinesMax && fileExceptions[f.path] == "" {
		t.Errorf("%s: %d lines, ceiling %d: split the state first, then the file", f.path, lines, fileLinesMax)
	}
}

// longLiteral excuses table rows and build directives that cannot be broken.
func longLiteral(line string) bool {
	trimmed := strings.TrimSpace(line)
	return strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, `"`) ||
		strings.HasPrefix(trimmed, "//go:") || strings.Count(line, `"`)+strings.Count(line, "`") >= 2
}

func checkFunctions(t *testing.T, f goFile) {
	for _, decl := range f.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
		key := filepath.ToSlash(f.path) + ":" + fn.Name.Name
		if n > functionLinesMax && functionExceptions[key] == "" {
			t.Errorf("%s is %d lines, ceiling %d: branches up, loops down", key, n, functionLinesMax)
		}
	}
}

func checkExported(t *testing.T, f goFile) {
	if f.test || f.ast.Name.Name == "main" {
		return
	}
	for _, decl := range f.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && receiverExported(d) {
				t.Errorf("%s: exported %s has no comment", f.fset.Position(d.Pos()), d.Name.Name)
			}
		case *ast.GenDecl:
			checkSpecs(t, f, d)
		}
	}
}

func checkSpecs(t *testing.T, f goFile, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		ts, ok := spec.(*ast.TypeSpec)
		if ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil && ts.Comment == nil {
			t.Errorf("%s: exported type %s has no comment", f.fset.Position(ts.Pos()), ts.Name.Name)
		}
	}
}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX|HA` + `CK)\b`)

func checkMarks(t *testing.T, f goFile) {
	for i, line := range strings.Split(string(f.text), "\n") {
		if unfinished.MatchString(line) {
			t.Errorf("%s:%d: a mark of unfinished work: finish it, or say in docs/ what is left and why", f.path, i+1)
		}
	}
}

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
