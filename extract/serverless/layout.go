// SPDX-License-Identifier: Apache-2.0

package serverless

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Code tells what a package of functions is by the files at its root: it is
// meant for packages only, since the names are those of any program.
type Code struct{}

// Name gives "function".
func (Code) Name() string { return "function" }

// root gives the name of a file at the root of a package, where the code of
// Lambda lies, too, when layers are merged below it.
func root(p string) (string, bool) {
	p = strings.TrimPrefix(p, Task+"/")
	return p, strings.IndexByte(p, '/') < 0
}

// Task is where AWS Lambda puts a function's code, relative to the root
// (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html).
const Task = "var/task"

// Wants tells whether the file lies at the root and is called as those that a
// provider looks for.
func (Code) Wants(p string, st bulwark.Stat) bool {
	name, ok := root(p)
	if !ok || st.Size == 0 {
		return false
	}
	switch name {
	case "bootstrap": // a program of any size, which is not read
		return true
	case "package.json", "lambda_function.py", "lambda_function.rb", "main.py", "function.go", "requirements.txt", "go.mod":
		return st.Size <= maxSize
	case "index.js", "index.mjs", "index.cjs":
		return st.Size <= maxSize
	}
	return strings.HasSuffix(name, ".runtimeconfig.json") && st.Size <= maxSize
}

// Extract gives no packages: a function is none.
func (Code) Extract(context.Context, *bulwark.File) ([]bulwark.Package, error) { return nil, nil }

var (
	exports   = regexp.MustCompile(`(?m)exports\.(handler|main)\b|export\s+(?:const|let|var|(?:async\s+)?function)\s+(handler|main)\b|export\s*\{[^}]{0,400}\b(handler)\b`)
	gcpTarget = regexp.MustCompile(`functions\.(?:http|cloudEvent)\(\s*['"]([A-Za-z0-9_-]{1,64})['"]|functions\.(?:HTTP|CloudEvent)\(\s*"([A-Za-z0-9_-]{1,64})"`)
	decorated = regexp.MustCompile(`(?m)^@functions_framework\.[a-z_]+\s*(?:\([^)\n]{0,200}\))?\s*\n(?:async\s+)?def\s+(\w{1,64})`)
	required  = regexp.MustCompile(`(?mi)^\s*(functions-framework|awslambdaric|azure-functions)\b`)
	digits    = regexp.MustCompile(`^[\^~>=v]*\s*(\d{1,2})(?:\.|$|\s)`)
	goVersion = regexp.MustCompile(`(?m)^go\s+1\.(\d{1,3})`)
)

// Inventory gives what f says of the function whose package it is in.
func (Code) Inventory(ctx context.Context, f *bulwark.File) (inv bulwark.Inventory, err error) {
	if err := ctx.Err(); err != nil {
		return inv, fmt.Errorf("read %q: %w", f.Path, err)
	}
	name, _ := root(f.Path)
	if name == "bootstrap" {
		inv.Functions = []bulwark.Function{{Provider: aws, Handler: "bootstrap", Path: f.Path}}
		return inv, nil
	}
	b, err := f.Bytes(maxSize)
	if err != nil {
		return inv, err
	}
	fn := code(name, b)
	if fn.Provider+fn.Runtime+fn.Handler != "" {
		fn.Path = f.Path
		inv.Functions = []bulwark.Function{fn}
	}
	return inv, nil
}

func code(name string, b []byte) (fn bulwark.Function) {
	group := func(re *regexp.Regexp) string {
		m := re.FindSubmatch(b)
		for i := 1; i < len(m); i++ {
			if len(m[i]) > 0 {
				return string(m[i])
			}
		}
		return ""
	}
	framework := func(target string) {
		if target != "" {
			fn.Provider, fn.Framework, fn.Handler = gcp, "functions-framework", target
		}
	}
	switch name {
	case "index.js", "index.mjs", "index.cjs":
		fn.Runtime = "nodejs"
		if h := group(exports); h != "" {
			fn.Handler = "index." + h
		}
		framework(group(gcpTarget))
	case "lambda_function.py":
		fn.Provider, fn.Runtime = aws, "python"
		if bytes.Contains(b, []byte("def lambda_handler")) {
			fn.Handler = "lambda_function.lambda_handler"
		}
	case "lambda_function.rb":
		fn.Provider, fn.Runtime = aws, "ruby"
		if bytes.Contains(b, []byte("def lambda_handler")) {
			fn.Handler = "lambda_function.lambda_handler"
		}
	case "main.py":
		fn.Runtime = "python"
		framework(group(decorated))
	case "function.go":
		fn.Runtime = "go"
		framework(group(gcpTarget))
	case "requirements.txt":
		fn.Runtime = "python"
		switch strings.ToLower(group(required)) {
		case "functions-framework":
			fn.Provider, fn.Framework = gcp, "functions-framework"
		case "awslambdaric":
			fn.Provider, fn.Framework = aws, "awslambdaric"
		case "azure-functions":
			fn.Provider, fn.Framework = azure, "azure-functions"
		}
	case "go.mod":
		if bytes.Contains(b, []byte("github.com/GoogleCloudPlatform/functions-framework-go")) {
			fn.Provider, fn.Framework, fn.Runtime = gcp, "functions-framework", "go"
			if v := group(goVersion); v != "" {
				fn.Runtime = "go1" + v
			}
		}
	case "package.json":
		fn = manifest(b)
	default:
		fn = runtimeConfig(b)
	}
	return fn
}

// manifest reads the package.json of a function.
func manifest(b []byte) (fn bulwark.Function) {
	var p struct {
		Engines      map[string]any `json:"engines"`
		Dependencies map[string]any `json:"dependencies"`
	}
	if json.Unmarshal(bytes.TrimPrefix(b, []byte("\ufeff")), &p) != nil {
		return fn // the extractors of packages say what is wrong with it
	}
	fn.Runtime = "nodejs"
	has := func(name string) bool { _, ok := p.Dependencies[name]; return ok }
	engine, _ := p.Engines["node"].(string)
	version := ""
	if m := digits.FindStringSubmatch(engine); m != nil && !strings.Contains(engine, ">") && !strings.Contains(engine, "|") {
		version = m[1]
	}
	switch {
	case has("@google-cloud/functions-framework"), has("firebase-functions"):
		fn.Provider, fn.Framework, fn.Runtime = gcp, "functions-framework", "nodejs"+version
		if has("firebase-functions") {
			fn.Framework = "firebase"
		}
	case has("@azure/functions"):
		fn.Provider, fn.Framework, fn.Runtime = azure, "azure-functions", "node"
	case has("aws-lambda-ric"):
		fn.Provider, fn.Framework = aws, "aws-lambda-ric"
	}
	return fn
}

// runtimeConfig reads which .NET a program was built for.
func runtimeConfig(b []byte) (fn bulwark.Function) {
	var c struct {
		Options struct {
			TFM string `json:"tfm"`
		} `json:"runtimeOptions"`
	}
	if json.Unmarshal(bytes.TrimPrefix(b, []byte("\ufeff")), &c) != nil {
		return fn
	}
	tfm := path.Base(c.Options.TFM)
	if v, ok := strings.CutPrefix(tfm, "netcoreapp"); ok && len(v) <= 4 {
		fn.Runtime = "dotnetcore" + v
	} else if v, ok := strings.CutPrefix(tfm, "net"); ok && len(v) <= 5 {
		fn.Runtime = "dotnet" + strings.TrimSuffix(v, ".0")
	}
	return fn
}
