// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
)

// functions puts together what is known of serverless functions, takes the
// secrets out of their environments, and gives all findings with their rules.
func (s *Scanner) functions(r *bulwark.Report, found []bulwark.Finding, rules map[string]bulwark.Rule, set *parsers) ([]bulwark.Finding, map[string]bulwark.Rule, error) {
	inv := &r.Inventory
	asked := s.Open.Kind == bulwark.KindFunction
	if i := r.Artifact.Image; i != nil {
		f, ok := contained(i)
		if asked && !ok {
			return nil, nil, &bulwark.Hint{Err: fmt.Errorf("the image has no runtime interface of functions: %w", bulwark.ErrUnsupported), Next: "use bulwark scan image"}
		}
		if ok {
			inv.Functions = append([]bulwark.Function{f}, inv.Functions...)
		}
	}
	if asked || r.Artifact.Kind == bulwark.KindFunction {
		inv.Functions = gathered(inv.Functions, s.Open.Runtime)
		inv.Gaps = append(inv.Gaps, unjudged(inv.Functions[0])...)
	}
	if len(inv.Functions) == 0 {
		return found, rules, nil
	}
	list, more, about, err := set.set.Environment(inv.Functions)
	if err != nil {
		return nil, nil, err
	}
	inv.Functions = list
	if len(more) == 0 || !s.Secrets {
		return found, rules, nil
	}
	return slices.Concat(found, more), withRules(rules, about), nil
}

func withRules(rules map[string]bulwark.Rule, more []bulwark.Rule) map[string]bulwark.Rule {
	if rules = maps.Clone(rules); rules == nil {
		rules = map[string]bulwark.Rule{}
	}
	for _, r := range more {
		rules[r.ID] = r
	}
	return rules
}

// runtimes judges the runtimes of functions at the time of the scan, which
// changes without their content.
func (s *Scanner) runtimes(r *bulwark.Report, rules map[string]bulwark.Rule) map[string]bulwark.Rule {
	if len(r.Inventory.Functions) == 0 || !s.Config {
		return rules
	}
	list, about := check.Functions(r.Inventory.Functions, s.now())
	old := func(f bulwark.Finding) bool {
		return slices.ContainsFunc(about, func(r bulwark.Rule) bool { return r.ID == f.Rule })
	}
	r.Findings = append(slices.DeleteFunc(r.Findings, old), list...)
	return withRules(rules, about)
}

// contained gives the function that an image is, by what the base images and the
// runtime clients of the providers set.
func contained(i *bulwark.Image) (f bulwark.Function, ok bool) {
	env := map[string]string{}
	for _, e := range i.Env {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	starts := strings.Join(slices.Concat(i.Entrypoint, i.Cmd), " ")
	client := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(starts, n) })
	}
	switch {
	case client("lambda-entrypoint.sh", "awslambdaric", "aws-lambda-ric", "aws-lambda-rie", "aws_lambda_ric"), env["LAMBDA_TASK_ROOT"] != "":
		f.Provider, f.Framework = "aws", "lambda-image"
		if len(i.Cmd) > 0 {
			f.Handler = i.Cmd[len(i.Cmd)-1]
		}
		f.Handler = cmp.Or(env["_HANDLER"], f.Handler)
		f.Runtime = strings.TrimPrefix(env["AWS_EXECUTION_ENV"], "AWS_Lambda_")
	case env["AzureWebJobsScriptRoot"] != "":
		f.Provider, f.Framework, f.Runtime = "azure", "azure-functions", env["FUNCTIONS_WORKER_RUNTIME"]
	case env["GOOGLE_FUNCTION_TARGET"] != "", env["FUNCTION_TARGET"] != "", client("functions-framework"):
		f.Provider, f.Framework, f.Runtime = "gcp", "functions-framework", env["GOOGLE_RUNTIME"]
		f.Handler = cmp.Or(env["GOOGLE_FUNCTION_TARGET"], env["FUNCTION_TARGET"])
	default:
		return bulwark.Function{}, false
	}
	return f, true
}

// gathered makes one function of what the files of a package say, which comes
// first, and leaves those that templates name. If there is just one of these, it
// is the package's. A runtime that was asked for counts more than any file.
func gathered(list []bulwark.Function, runtime string) []bulwark.Function {
	var one bulwark.Function
	var named []bulwark.Function
	for _, f := range list {
		if f.Name == "" {
			one = joined(one, f)
		} else {
			named = append(named, f)
		}
	}
	if len(named) == 1 {
		one = joined(named[0], one)
		named = nil
	}
	if runtime != "" {
		if whose, ok := check.Runtime(one.Provider, runtime); ok {
			one.Provider = whose
		} else if whose, ok := check.Runtime("", runtime); ok {
			one.Provider = whose
		}
		one.Runtime, one.Path, one.Line = runtime, "", 0
	}
	return append([]bulwark.Function{one}, named...)
}

// joined adds to a what only b knows. A runtime with its version counts more than
// a language alone.
func joined(a, b bulwark.Function) bulwark.Function {
	if a.Runtime == "" || !versioned(a.Runtime) && versioned(b.Runtime) {
		a.Runtime = b.Runtime
		if b.Path != "" {
			a.Path, a.Line = b.Path, b.Line
		}
	}
	a.Name, a.Provider = cmp.Or(a.Name, b.Name), cmp.Or(a.Provider, b.Provider)
	a.Handler, a.Framework = cmp.Or(a.Handler, b.Handler), cmp.Or(a.Framework, b.Framework)
	if a.Path == "" {
		a.Path, a.Line = b.Path, b.Line
	}
	a.Triggers = append(slices.Clone(a.Triggers), b.Triggers...)
	a.Env = append(slices.Clone(a.Env), b.Env...)
	return a
}

func versioned(runtime string) bool { return strings.ContainsAny(runtime, "0123456789") }

// unjudged tells that the runtime of a function was not judged, and why.
func unjudged(f bulwark.Function) []bulwark.Gap {
	switch _, known := check.Runtime(f.Provider, f.Runtime); {
	case known, strings.HasSuffix(f.Framework, "-image"):
		return nil
	case !versioned(f.Runtime):
		return []bulwark.Gap{{Kind: bulwark.GapSkipped, Detail: "whether the function's runtime is still mended was not judged: its version is not in the package; name it with --runtime"}}
	}
	return []bulwark.Gap{{Kind: bulwark.GapUnsupported, Path: f.Path, Detail: fmt.Sprintf("whether the function's runtime is still mended was not judged: %q is in no provider's list that is known here", f.Runtime)}}
}
