package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/plaincover/plaincover/internal/policy"
)

type fmtCmd struct {
	Policies string `help:"Directory of the policy files." placeholder:"DIR"`
	Check    bool   `help:"Change nothing; the answer is no when a file is not laid out."`
	Diff     bool   `help:"Show the lines that would change; change nothing."`
	dryRun
}

// Help is shown under --help.
func (fmtCmd) Help() string {
	return "Puts policy files and word lists into one layout: spaces, quotes, the order of the keys of a rule, a blank line between rules. Every comment stays, and what the files say stays the same: that is checked before anything is written. A file with a problem is left as it is.\n\nExamples:\n  gateway fmt --policies policies\n  gateway fmt --diff"
}

// Run lays the files out.
func (k fmtCmd) Run(p *program) error {
	c, err := p.configuration(needNothing)
	if err != nil {
		return err
	}
	dir := c.Policies
	if k.Policies != "" {
		dir = k.Policies
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return &usageError{fmt.Sprintf("%s: there is no such directory of policies", dir)}
	}
	changed, err := policy.Format(os.DirFS(dir))
	found, ok := errors.AsType[policy.Problems](err)
	if err != nil && !ok {
		return err
	}
	v := struct {
		OK       bool             `json:"ok"`
		DryRun   bool             `json:"dry_run"`
		Changed  []string         `json:"changed"`
		Diff     string           `json:"diff,omitempty"`
		Problems []policy.Problem `json:"problems"`
	}{OK: len(found) == 0, DryRun: k.Check || k.Diff || k.DryRun, Changed: []string{}, Problems: []policy.Problem{}}
	for _, b := range found.In(dir) {
		v.Problems = append(v.Problems, b)
		if !p.json {
			p.say("%s", b.Error())
		}
	}
	for _, f := range changed {
		if !v.DryRun {
			if err := replaceFile(filepath.Join(dir, filepath.FromSlash(f.File)), f.Old, f.New); err != nil {
				return err
			}
		}
		v.Changed = append(v.Changed, filepath.ToSlash(filepath.Join(dir, f.File)))
		if k.Diff {
			v.Diff += string(diff.Diff(v.Changed[len(v.Changed)-1], f.Old, f.File+", laid out", f.New))
		}
	}
	if k.Check && len(changed) > 0 {
		v.OK = false
	}
	if err := p.emit(v, func(w io.Writer) {
		for _, name := range v.Changed {
			fmt.Fprintln(w, name)
		}
		fmt.Fprint(w, v.Diff)
	}); err != nil {
		return err
	}
	switch {
	case len(found) > 0:
		return &answerNo{fmt.Sprintf("%s found; files with a problem were left as they are", count(len(found), "problem"))}
	case k.Check && len(changed) > 0:
		return &answerNo{fmt.Sprintf("%s not laid out; gateway fmt does it", count(len(changed), "file"))}
	case k.DryRun && !p.json:
		p.say("dry run: would lay out %s", count(len(changed), "file"))
	}
	return nil
}

// replaceFile puts a new file in the place of the old one, all or nothing, with its owner and its rights. A
// link is left a link: what it leads to is replaced, where that is a file and still holds what
// was read.
func replaceFile(name string, old, made []byte) (err error) {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return fmt.Errorf("lay out %s: %w", name, err)
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err != nil || filepath.Dir(target) != dir {
		return &answerNo{fmt.Sprintf("%s is a link to another directory (%s); nothing was written there: lay it out in its own place", name, target)}
	}
	info, err := os.Stat(target)
	if err != nil {
		return fmt.Errorf("lay out %s: %w", name, err)
	}
	if now, err := os.ReadFile(target); err != nil || string(now) != string(old) {
		return &answerNo{fmt.Sprintf("%s has just been changed by somebody else; run gateway fmt again", name)}
	}
	f, err := os.CreateTemp(filepath.Dir(target), ".fmt-*")
	if err != nil {
		return fmt.Errorf("lay out %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("lay out %s: %w", name, errors.Join(err, f.Close(), os.Remove(f.Name())))
		}
	}()
	if _, err = f.Write(made); err != nil {
		return err
	}
	if err = f.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	// Whoever lays out the files of a service as another account must not take them from it.
	if own, ok := info.Sys().(*syscall.Stat_t); ok && (int(own.Uid) != os.Geteuid() || int(own.Gid) != os.Getegid()) {
		if err = f.Chown(int(own.Uid), int(own.Gid)); err != nil {
			return err
		}
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), target); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("lay out %s: %w", name, err)
	}
	return syncDir(filepath.Dir(target))
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("the directory of policies: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
