// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/nearest"
)

// configFile is looked for in the working directory; a person's own is
// bulwark/config.yaml in the folder for configuration.
const configFile = ".bulwark/config.yaml"

// configLimit bounds a configuration file, bytes.
const configLimit = 1 << 20

// notConfigurable are flags that only make sense on a command line.
var notConfigurable = []string{"help", "version", "origin", "output", "format"}

// personal are settings that a project's file may not make: whoever is scanned
// would say where the files, or the secrets in them, go; what is judged, and by
// whom; which database is asked; which files are written; and what becomes of the
// answer.
var personal = []string{
	"clamd", verifySecrets,
	"policy", "policy-key", "label", "stage", "exit-zero", "allow-starter", "stale-after",
	"cache", "record-inputs",
}

// envName gives the environment variable of a flag: "fail-on" is BULWARK_FAIL_ON.
func envName(flag string) string {
	return "BULWARK_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// A setting is one key of a configuration file.
type setting struct {
	values []string
	origin string // "file:line"
}

// configure gives every flag that was not typed its value from the environment,
// the working directory's file or the person's file, in this order. It returns
// where each value came from.
func (p *program) configure(flags *pflag.FlagSet) (map[string]string, error) {
	files := []string{configFile}
	if dir := p.configDir(); dir != "" {
		files = append(files, filepath.Join(dir, "bulwark", "config.yaml"))
	}
	known := func(name string) bool { return flags.Lookup(name) != nil || allFlags(p)[name] }
	settings := map[string]setting{}
	for _, file := range slices.Backward(files) {
		read, err := readConfig(file, known, allFlags(p))
		if err != nil {
			return nil, err
		}
		for k, v := range read {
			if file == configFile && slices.Contains(personal, k) {
				return nil, &bulwark.Hint{Err: fmt.Errorf("%s: %q may not be set by a project's file: %w", v.origin, k, bulwark.ErrUsage), Next: "set it by the flag, " + envName(k) + ", or in your own bulwark/config.yaml"}
			}
			settings[k] = v
		}
	}
	origin := map[string]string{}
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if slices.Contains(notConfigurable, f.Name) {
			return
		}
		origin[f.Name] = "default"
		if f.Changed {
			origin[f.Name] = "flag"
			if list, ok := f.Value.(pflag.SliceValue); ok && f.Name == "policy" && len(list.GetSlice()) == 0 {
				errs = append(errs, fmt.Errorf("--policy: it is empty, nothing would be asked: %w", bulwark.ErrUsage)) // a variable that is not set
			}
			return
		}
		s, ok := settings[f.Name]
		if v := p.env(envName(f.Name)); v != "" {
			s, ok = setting{[]string{v}, "environment " + envName(f.Name)}, true
		}
		if !ok {
			return
		}
		for _, v := range s.values {
			if err := flags.Set(f.Name, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", s.origin, f.Name, usage(err)))
			}
		}
		origin[f.Name] = s.origin
	})
	return origin, errors.Join(errs...)
}

func (p *program) configDir() string {
	if d := p.env("XDG_CONFIG_HOME"); filepath.IsAbs(d) {
		return d
	}
	if h := p.env("HOME"); filepath.IsAbs(h) {
		return filepath.Join(h, ".config")
	}
	return ""
}

// readConfig reads a flat YAML mapping of flag names to a value or a list.
func readConfig(name string, known func(string) bool, all map[string]bool) (map[string]setting, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > configLimit {
		return nil, fmt.Errorf("read configuration %q: %w", name, bulwark.ErrTooLarge)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, err, bulwark.ErrUsage)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: a mapping of settings is wanted: %w", name, top.Line, bulwark.ErrUsage)
	}
	out := map[string]setting{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		k, v := top.Content[i], top.Content[i+1]
		at := fmt.Sprintf("%s:%d", name, k.Line)
		if !known(k.Value) || slices.Contains(notConfigurable, k.Value) {
			err := fmt.Errorf("%s: unknown setting %q: %w", at, k.Value, bulwark.ErrUsage)
			if near := nearest.Of(k.Value, slices.Sorted(maps.Keys(all))); near != "" {
				return nil, &bulwark.Hint{Err: err, Next: fmt.Sprintf("did you mean %q?", near)}
			}
			return nil, &bulwark.Hint{Err: err, Next: "see bulwark config show"}
		}
		s := setting{origin: at}
		switch v.Kind {
		case yaml.ScalarNode:
			s.values = []string{v.Value}
		case yaml.SequenceNode:
			for _, item := range v.Content {
				if item.Kind != yaml.ScalarNode {
					return nil, fmt.Errorf("%s:%d: a plain value is wanted: %w", name, item.Line, bulwark.ErrUsage)
				}
				s.values = append(s.values, item.Value)
			}
		default:
			return nil, fmt.Errorf("%s: a value or a list is wanted: %w", at, bulwark.ErrUsage)
		}
		out[k.Value] = s
	}
	return out, nil
}

// allFlags gives the names that a configuration file may use: those of every
// command, so that one file serves all of them.
func allFlags(p *program) map[string]bool {
	names := map[string]bool{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !slices.Contains(notConfigurable, f.Name) {
				names[f.Name] = true
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(p.root())
	return names
}

func (p *program) configCommand() *cobra.Command {
	var origin bool
	var o scanFlags
	show := &cobra.Command{
		Use: "show", Short: "Print the settings that a scan would use", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := p.configure(cmd.Flags())
			if err != nil {
				return err
			}
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				if _, ok := from[f.Name]; !ok {
					return
				}
				value := f.Value.String()
				if s, ok := f.Value.(pflag.SliceValue); ok {
					value = "[" + strings.Join(s.GetSlice(), ", ") + "]"
				} else if f.Value.Type() == "string" && value == "" {
					value = `""`
				}
				if origin {
					fmt.Fprintf(p.stdout, "%s: %s  # %s\n", f.Name, value, from[f.Name])
				} else {
					fmt.Fprintf(p.stdout, "%s: %s\n", f.Name, value)
				}
			})
			return nil
		},
	}
	o.add(show.Flags())
	show.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	return group("config", "tool", "Show the configuration", show)
}
