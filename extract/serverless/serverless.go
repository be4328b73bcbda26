// SPDX-License-Identifier: Apache-2.0

// Package serverless finds out what a tree says of serverless functions: their
// runtime, handler, triggers and environment, from the templates of AWS SAM and
// CloudFormation, the configuration of the Serverless Framework, the files of
// Azure Functions, and the files that a package of AWS Lambda or Google Cloud
// Functions has by convention. It does not know which runtimes are old, which
// values are secret, or what the functions are made of.
package serverless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3" // templates with their lines

	"github.com/bulwark-sec/bulwark"
)

// Bounds on one file. Templates of AWS have at most 1 MB and 500 resources
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html).
const (
	maxSize      = 2 << 20
	maxFunctions = 1000
	maxEnv       = 500 // settings of one function
	maxValue     = 8 << 10
	maxDepth     = 20 // aliases and merges that lead to one value
)

// The providers, as [bulwark.Function] has them.
const (
	aws   = "aws"
	azure = "azure"
	gcp   = "gcp"
)

// Declared reads the files that declare functions, wherever they lie.
type Declared struct{}

// Name gives "serverless".
func (Declared) Name() string { return "serverless" }

// Wants tells whether the file is called as those that declare functions are.
func (Declared) Wants(p string, st bulwark.Stat) bool {
	if st.Size == 0 || st.Size > maxSize {
		return false
	}
	base := p[strings.LastIndexByte(p, '/')+1:]
	switch base {
	case "serverless.yml", "serverless.yaml", "host.json", "function.json", "local.settings.json":
		return true
	}
	return isTemplate(base)
}

func isTemplate(base string) bool {
	switch base {
	case "template.yaml", "template.yml", "template.json", "sam.yaml", "sam.yml", "packaged.yaml", "packaged.yml":
		return true
	}
	return strings.HasSuffix(base, ".template.json") || strings.HasSuffix(base, ".template.yaml") || strings.HasSuffix(base, ".template.yml")
}

// Extract gives no packages: a function is none.
func (Declared) Extract(context.Context, *bulwark.File) ([]bulwark.Package, error) { return nil, nil }

// Inventory gives the functions that f declares.
func (Declared) Inventory(ctx context.Context, f *bulwark.File) (inv bulwark.Inventory, err error) {
	if err := ctx.Err(); err != nil {
		return inv, fmt.Errorf("read %q: %w", f.Path, err)
	}
	b, err := f.Bytes(maxSize)
	if err != nil {
		return inv, err
	}
	switch base := path.Base(f.Path); base {
	case "host.json", "function.json", "local.settings.json":
		inv.Functions, err = azureFile(base, f.Path, b)
	case "serverless.yml", "serverless.yaml":
		inv.Functions, err = document(b, framework)
	default:
		inv.Functions, err = document(b, template)
	}
	if len(inv.Functions) > maxFunctions {
		inv.Functions = inv.Functions[:maxFunctions]
		inv.Gaps = append(inv.Gaps, bulwark.Gap{Kind: bulwark.GapLimit, Path: f.Path, Detail: fmt.Sprintf("more than %d functions in one file: the rest is left out", maxFunctions)})
	}
	for i := range inv.Functions {
		inv.Functions[i].Path = f.Path
	}
	return inv, err
}

// document reads the first document of YAML, of which JSON is a part.
func document(b []byte, read func(root node) []bulwark.Function) ([]bulwark.Function, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		return nil, fmt.Errorf("yaml: %w", err)
	}
	if n.Kind != yaml.DocumentNode || len(n.Content) == 0 {
		return nil, nil
	}
	return read(node{n.Content[0]}), nil
}

// A node is a place in a document. The zero node is nothing, and so is
// everything below it.
type node struct{ n *yaml.Node }

// real follows aliases.
func (n node) real() *yaml.Node {
	y := n.n
	for range maxDepth {
		if y == nil || y.Kind != yaml.AliasNode {
			return y
		}
		y = y.Alias
	}
	return nil
}

// at gives what a mapping has under a name.
func (n node) at(keys ...string) node {
	for _, k := range keys {
		y := n.real()
		n = node{}
		if y == nil || y.Kind != yaml.MappingNode {
			return n
		}
		for i := 0; i+1 < len(y.Content); i += 2 {
			if y.Content[i].Value == k {
				n = node{y.Content[i+1]}
				break
			}
		}
	}
	return n
}

// each calls do with every name of a mapping and what is under it.
func (n node) each(do func(key *yaml.Node, value node)) {
	y := n.real()
	if y == nil || y.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		do(y.Content[i], node{y.Content[i+1]})
	}
}

// text gives a literal; "" for a reference to something, which has a tag of its
// own in templates.
func (n node) text() string {
	y := n.real()
	if y == nil || y.Kind != yaml.ScalarNode || strings.HasPrefix(y.Tag, "!") && !strings.HasPrefix(y.Tag, "!!") || len(y.Value) > maxValue {
		return ""
	}
	return y.Value
}

// settings gives the literals of a mapping as "NAME=value".
func (n node) settings() (out []string) {
	n.each(func(k *yaml.Node, v node) {
		if s := v.text(); s != "" && len(out) < maxEnv && len(k.Value) < 256 {
			out = append(out, k.Value+"="+s)
		}
	})
	return out
}

// template reads a template of CloudFormation, with SAM's transform or without
// (https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification.html).
func template(root node) (out []bulwark.Function) {
	globals := root.at("Globals", "Function")
	framework := "cloudformation"
	if strings.HasPrefix(root.at("Transform").text(), "AWS::Serverless") {
		framework = "sam"
	}
	root.at("Resources").each(func(k *yaml.Node, r node) {
		sam := r.at("Type").text() == "AWS::Serverless::Function"
		if !sam && r.at("Type").text() != "AWS::Lambda::Function" || len(out) > maxFunctions {
			return
		}
		p := r.at("Properties")
		f := bulwark.Function{
			Name: k.Value, Provider: aws, Framework: framework, Line: k.Line,
			Runtime: p.at("Runtime").text(), Handler: p.at("Handler").text(),
			Env: p.at("Environment", "Variables").settings(),
		}
		if sam {
			f.Framework = "sam"
			f.Runtime = first(f.Runtime, globals.at("Runtime").text())
			f.Handler = first(f.Handler, globals.at("Handler").text())
			f.Env = over(globals.at("Environment", "Variables").settings(), f.Env)
			p.at("Events").each(func(_ *yaml.Node, e node) { f.Triggers = trigger(f.Triggers, e.at("Type").text()) })
		}
		out = append(out, f)
	})
	return out
}

// framework reads the configuration of the Serverless Framework
// (https://www.serverless.com/framework/docs/providers/aws/guide/serverless.yml).
func framework(root node) (out []bulwark.Function) {
	provider := root.at("provider")
	name := first(provider.at("name").text(), provider.text())
	if name == "google" {
		name = gcp
	}
	root.at("functions").each(func(k *yaml.Node, p node) {
		if len(out) > maxFunctions {
			return
		}
		f := bulwark.Function{
			Name: k.Value, Provider: name, Framework: "serverless", Line: k.Line,
			Runtime: first(p.at("runtime").text(), provider.at("runtime").text()),
			Handler: p.at("handler").text(),
			Env:     over(provider.at("environment").settings(), p.at("environment").settings()),
		}
		if y := p.at("events").real(); y != nil && y.Kind == yaml.SequenceNode {
			for _, e := range y.Content {
				// The first key names the event; for Azure, its settings stand beside it.
				named := false
				node{e}.each(func(k *yaml.Node, _ node) {
					if !named {
						f.Triggers, named = trigger(f.Triggers, k.Value), true
					}
				})
			}
		}
		out = append(out, f)
	})
	return out
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// over gives the settings of both, the second first where they share a name.
func over(general, own []string) []string {
	out := slices.Clone(own)
	for _, g := range general {
		name, _, _ := strings.Cut(g, "=")
		if !slices.ContainsFunc(own, func(o string) bool { return strings.HasPrefix(o, name+"=") }) {
			out = append(out, g)
		}
	}
	return out
}

func trigger(list []string, t string) []string {
	if t == "" || len(t) > 100 || len(list) >= 50 || slices.Contains(list, t) {
		return list
	}
	return append(list, t)
}

// azureFile reads a file of Azure Functions
// (https://learn.microsoft.com/azure/azure-functions/functions-reference).
func azureFile(base, full string, b []byte) ([]bulwark.Function, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	f := bulwark.Function{Provider: azure}
	switch base {
	case "host.json":
		var h struct {
			Version   string         `json:"version"`
			Bundle    map[string]any `json:"extensionBundle"`
			Functions map[string]any `json:"extensions"`
		}
		if err := json.Unmarshal(b, &h); err != nil {
			return nil, fmt.Errorf("json: %w", err)
		}
		// The name is common: only what Azure writes counts.
		if h.Version == "" && h.Bundle == nil && h.Functions == nil {
			return nil, nil
		}
		f.Framework = "azure-functions"
		return []bulwark.Function{f}, nil
	case "local.settings.json":
		var s struct {
			Values map[string]any `json:"Values"`
		}
		if err := json.Unmarshal(b, &s); err != nil {
			return nil, fmt.Errorf("json: %w", err)
		}
		if s.Values == nil {
			return nil, nil
		}
		for name, v := range s.Values {
			if v, ok := v.(string); ok && v != "" && len(v) <= maxValue && len(name) < 256 {
				f.Env = append(f.Env, name+"="+v)
			}
		}
		slices.Sort(f.Env)
		f.Env = f.Env[:min(len(f.Env), maxEnv)]
		worker, _ := s.Values["FUNCTIONS_WORKER_RUNTIME"].(string)
		version, _ := s.Values["FUNCTIONS_EXTENSION_VERSION"].(string)
		if f.Runtime = worker; isPin(version) {
			f.Runtime = version
		}
		f.Framework = "azure-functions"
		return []bulwark.Function{f}, nil
	}
	var d struct {
		Bindings   []struct{ Type, Direction string } `json:"bindings"`
		ScriptFile string                             `json:"scriptFile"`
		EntryPoint string                             `json:"entryPoint"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return nil, nil // a file of that name that means something else
		}
		return nil, fmt.Errorf("json: %w", err)
	}
	for _, bind := range d.Bindings {
		if strings.HasSuffix(strings.ToLower(bind.Type), "trigger") {
			f.Triggers = trigger(f.Triggers, bind.Type)
		}
	}
	if len(f.Triggers) == 0 {
		return nil, nil
	}
	f.Framework, f.Handler = "azure-functions", first(d.EntryPoint, d.ScriptFile)
	if dir := path.Dir(full); dir != "." {
		f.Name = path.Base(dir)
	}
	switch path.Ext(d.ScriptFile) {
	case ".py":
		f.Runtime = "python"
	case ".js", ".mjs", ".cjs", ".ts":
		f.Runtime = "node"
	case ".dll":
		f.Runtime = "dotnet"
	case ".ps1":
		f.Runtime = "powershell"
	case ".jar":
		f.Runtime = "java"
	}
	return []bulwark.Function{f}, nil
}

var pin = regexp.MustCompile(`^~[1-9]$`)

// isPin tells whether a version of the host is written as "~4".
func isPin(s string) bool { return pin.MatchString(s) }
