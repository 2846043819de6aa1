package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

// Help is shown under --help.
func (versionCmd) Help() string { return "Example: gateway version --json" }

// Run prints the version.
func (versionCmd) Run(p *program) error {
	v := versionOf()
	return p.emit(v, func(w io.Writer) { fmt.Fprintf(w, "gateway %s, commit %s, %s\n", v.Version, v.Commit, v.Go) })
}

type version struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

// versionOf is the version of this program.
func versionOf() version {
	v := version{"(devel)", "unknown", runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return v
}
