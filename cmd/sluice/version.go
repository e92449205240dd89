package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this binary",
		Example: "  sluice version\n  sluice version -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versionInfo()
			if a.json() {
				return a.printJSON(v)
			}
			fmt.Fprintln(a.out, v.line())
			return nil
		},
	}
	a.addOutput(c, true)
	return c
}

type versionData struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// versionInfo joins what the linker and the go tool put into the binary.
func versionInfo() versionData {
	v := versionData{
		Version:  version,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return v
}

func (v versionData) line() string {
	revision := ""
	if len(v.Revision) >= 12 {
		revision = " " + v.Revision[:12]
		if v.Modified {
			revision += "+changes"
		}
	}
	return fmt.Sprintf("sluice %s%s %s %s", v.Version, revision, v.Go, v.Platform)
}
