package benchmarks

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"sluice/benchmarks/workload"
)

// workloadFiles are the workloads that come with the binary.
//
//go:embed workloads/*.yaml
var workloadFiles embed.FS

// Workloads lists the workloads that come with the binary, in the order of their names.
func Workloads() []workload.Spec {
	entries, err := fs.ReadDir(workloadFiles, "workloads")
	if err != nil {
		panic("BUG: the workloads are not embedded: " + err.Error())
	}
	var specs []workload.Spec
	for _, e := range entries {
		s, _, err := LoadWorkload(strings.TrimSuffix(e.Name(), ".yaml"), false)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		specs = append(specs, s)
	}
	return specs
}

// LoadWorkload gives a workload by the name of one that comes with the binary, or by the path of a
// file: whatever has a slash in it or ends in .yaml or .yml. Long asks for its long variant. Given
// holds the options that the file names.
func LoadWorkload(name string, long bool) (s workload.Spec, given map[string]bool, err error) {
	if strings.Contains(name, "/") || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		text, err := os.ReadFile(name)
		if err != nil {
			return s, nil, err
		}
		return workload.Parse(name, text, long)
	}
	text, err := workloadFiles.ReadFile(path.Join("workloads", name+".yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, fmt.Errorf("there is no workload %q: sluice bench list shows them; a file's name "+
			"ends in .yaml", name)
	}
	if err != nil {
		return s, nil, err
	}
	return workload.Parse(name+".yaml", text, long)
}
