package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Write renders the report into its folder: report.html, README.md, plots/ and hgrm/. Plots and
// distributions of an earlier report there are removed first.
func (r *Report) Write(dir string) error {
	page, err := r.html()
	if err != nil {
		return err
	}
	files := map[string][]byte{"report.html": page, "README.md": r.markdown()}
	for _, c := range r.Cases {
		for _, p := range c.Plots {
			files[filepath.Join("plots", p.File)] = p.standalone()
		}
		if err := c.distributions(files); err != nil {
			return err
		}
	}
	for folder, pattern := range map[string]string{"plots": "*.svg", "hgrm": "*.hgrm"} {
		if err := clear(filepath.Join(dir, folder), pattern); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// clear makes a folder, and removes what an earlier report wrote there.
func clear(folder, pattern string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// distributions adds each stage's merged distribution in HdrHistogram's text format.
func (c *Case) distributions(files map[string][]byte) error {
	taken := map[string]bool{}
	for _, r := range c.rows {
		for _, stage := range r.stages() {
			var b bytes.Buffer
			if err := r.merged(stage).WriteHGRM(&b); err != nil {
				return fmt.Errorf("case %s, %s of %s: %w", c.Name, stage, r.name(), err)
			}
			name := unique(c.Slug+"-"+fileName(r.name(), r.qualifiers(), stage), taken)
			files[filepath.Join("hgrm", name+".hgrm")] = b.Bytes()
		}
	}
	return nil
}
