// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
	"github.com/bulwark-sec/bulwark/advisory/starter"
	"github.com/bulwark-sec/bulwark/artifact"
	"github.com/bulwark-sec/bulwark/artifact/git"
	"github.com/bulwark-sec/bulwark/artifact/oci"
	"github.com/bulwark-sec/bulwark/attest"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/policy/ignore"
	"github.com/bulwark-sec/bulwark/report/jsonreport"
	"github.com/bulwark-sec/bulwark/scan"
)

// scanFlags are what a person types for one scan.
type scanFlags struct {
	place
	outputs
	malwareFlags
	gateFlags
	closers
	severity           string
	skipDirs, from     []string
	offline, plainHTTP bool
	platform, caFile   string
	timeout            time.Duration
	exitZero           bool
	secrets, malware   string
	verify             bool
	licenses           bool
	benchmark          string
	blame              string
	noConfig           bool
	jarIndex           string
	archives           bool
	parallel           int
	runtime            string
	layers             []string
}

// closers say which findings do not count.
type closers struct {
	onlyNew    bool
	baseline   string
	vex        []string
	ignoreFile string
}

func (o *closers) addBaseline(f *pflag.FlagSet) {
	f.BoolVar(&o.onlyNew, "only-new", false, "only findings that --baseline does not have count")
	f.StringVar(&o.baseline, "baseline", "", "JSON report of an earlier scan, for --only-new")
}

func (o *closers) add(f *pflag.FlagSet) {
	f.StringSliceVar(&o.vex, "vex", nil, "file of OpenVEX, CSAF or CycloneDX; may be repeated")
	f.StringVar(&o.ignoreFile, "ignore-file", "", "file of accepted risks (default "+ignoreFile+", if it is there)")
}

// ignoreFile is read without being named when it is there.
const ignoreFile = ".bulwark/ignore.yaml"

func (o *scanFlags) add(f *pflag.FlagSet) {
	f.SortFlags = false
	o.outputs.add(f)
	o.gateFlags.add(f)
	o.closers.addBaseline(f)
	f.StringVar(&o.severity, "severity", "", "show only these severities, separated by commas")
	o.closers.add(f)
	o.addAccess(f)
	f.BoolVar(&o.verify, verifySecrets, false, "send each secret found to the service it belongs to, and say whether it still works; reads every layer anew")
	o.addTrust(f)
	f.BoolVar(&o.exitZero, "exit-zero", false, "exit 0 when the gate fails or the answer is not trustworthy")
}

// addAccess adds what every command that scans needs: where things come from and
// what is looked for.
func (o *scanFlags) addAccess(f *pflag.FlagSet) {
	f.StringSliceVar(&o.skipDirs, "skip-dirs", nil, "glob of directories to leave out; may be repeated")
	f.StringSliceVar(&o.from, "from", nil, "where an image may come from, in order (default "+strings.Join(oci.Sources(), ",")+")")
	f.StringVar(&o.platform, "platform", "", "os/arch[/variant] of a multi-platform image (default linux on this architecture)")
	f.BoolVar(&o.plainHTTP, "plain-http", false, "talk to the registry without TLS")
	f.StringVar(&o.caFile, "ca-file", "", "PEM file of further certificate authorities")
	f.BoolVar(&o.offline, "offline", false, "do not use the network")
	f.DurationVar(&o.timeout, "timeout", 30*time.Minute, "end the scan after this time; 0 is never")
	f.StringVar(&o.secrets, "secrets", "auto", "look for secrets: on, off, auto (all but hosts, whose caches and sources would take minutes)")
	f.StringVar(&o.malware, "malware", "auto", "look for malware: on, off, auto (all but hosts, unless a list, rules or a daemon are named)")
	o.malwareFlags.add(f)
	f.BoolVar(&o.licenses, "licenses", false, "look for licences that ask for a decision, in texts where packages declare none")
	f.StringVar(&o.benchmark, "benchmark", "", "say of each recommendation of a benchmark whether the image follows it: "+strings.Join(check.Benchmarks(), ", ")+" (section 4)")
	f.StringVar(&o.blame, "blame", "findings", "of a git work tree, tell the commit and author that brought: findings, all (every package, too), or none")
	f.BoolVar(&o.noConfig, "no-config", false, "do not look for dangerous settings")
	f.StringVar(&o.jarIndex, "jar-index", "", "table that names Java archives by their SHA-1, made by bulwark db import-jars")
	f.BoolVar(&o.archives, "archives", false, "look into archives that lie in the tree, to five deep (functions: always)")
	f.IntVar(&o.parallel, "parallel", 0, "layers read at once (default one for each processor, at most 4)")
	o.place.add(f)
}

const scanLong = `Scan an image, a directory, a git work tree, this host, the package of a
serverless function, the disk of a virtual machine, or a bill of materials.

TARGET is a directory, an OCI layout, an archive of docker save or of an OCI
layout, a CycloneDX or SPDX file, the address of a git
repository, or else the name of an image. A
subcommand says which it is when the guess would be wrong.`

const scanExamples = `  bulwark scan alpine:3.20
  bulwark scan image --from registry registry.example/shop/web:1.4 --fail-on high
  bulwark scan fs . --only-new --baseline main.json -o sarif=out.sarif -o table
  bulwark scan repo https://git.example/shop/web.git@v1.4
  bulwark scan host --allow-starter -o html=host.html`

const functionLong = `Scan the package of a serverless function: the zip archive or tar archive of AWS
Lambda, Google Cloud Functions or Azure Functions, the directory that it is made
of, or a function's container image.

Templates of SAM and CloudFormation and the configuration of the Serverless
Framework are read in the package and beside it. With --layer the code is shown
below var/task and the layers below opt, as they lie when the function runs.`

const functionExamples = `  bulwark scan function build/orders.zip --runtime python3.12
  bulwark scan function orders.zip --layer common.zip --layer vendor.zip
  bulwark scan function registry.example/shop/orders:7`

func (p *program) scanCommand() *cobra.Command {
	c := p.scanOf("scan TARGET", "", "Scan an image, directory, repository, host or SBOM")
	c.GroupID, c.Long, c.Example = "look", scanLong, scanExamples
	c.AddCommand(
		p.scanOf("image NAME", bulwark.KindImage, "Scan a container image"),
		p.scanOf("fs DIR", bulwark.KindDir, "Scan a directory or an unpacked root file system"),
		p.scanOf("repo DIR|URL", bulwark.KindRepo, "Scan a git work tree, or one commit of a remote repository"),
		p.scanOf("function TARGET", bulwark.KindFunction, "Scan the package, directory or image of a serverless function"),
		p.scanOf("vm FILE", bulwark.KindVM, "Scan the disk of a virtual machine: raw or qcow2, ext4 or XFS"),
		p.scanOf("host", bulwark.KindHost, "Scan this machine"),
		p.scanOf("sbom FILE", bulwark.KindSBOM, "Scan a CycloneDX or SPDX bill of materials"),
	)
	return c
}

func (p *program) scanOf(use string, kind bulwark.Kind, short string) *cobra.Command {
	var o scanFlags
	args := cobra.ExactArgs(1)
	if kind == bulwark.KindHost {
		args = cobra.MaximumNArgs(1)
	}
	c := &cobra.Command{
		Use: use, Short: short,
		Args: arguments(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			target := ""
			if len(args) == 1 {
				target = args[0]
			}
			return p.scan(cmd.Context(), target, kind, &o)
		},
	}
	o.add(c.Flags())
	o.addFull(c.Flags())
	if kind == bulwark.KindFunction {
		c.Long, c.Example = functionLong, functionExamples
		c.Flags().StringVar(&o.runtime, "runtime", "", "runtime as the provider writes it, for example nodejs22.x (default what the package and the template beside it say)")
		c.Flags().StringSliceVar(&o.layers, "layer", nil, "archive of a layer that lies below /opt, the lowest first; may be repeated")
	}
	return c
}

func (p *program) scan(ctx context.Context, target string, kind bulwark.Kind, o *scanFlags) error {
	writers, err := p.writers(&o.outputs)
	if err != nil {
		return err
	}
	only, err := severities(o.severity)
	if err != nil {
		return err
	}
	s, done, err := p.scanner(ctx, kind, o)
	if err != nil {
		return err
	}
	defer done()
	outer := ctx
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	bar := p.progress(&o.outputs)
	s.Progress = lean(bar.tell)
	r, err := s.Run(ctx, target)
	bar.end()
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && outer.Err() == nil {
			return &bulwark.Hint{Err: fmt.Errorf("scan %q: it took longer than %s", target, o.timeout), Next: "run it again, it goes on from what was read, or raise --timeout"}
		}
		return fmt.Errorf("scan %q: %w", target, err)
	}
	if s.Live == nil { // of a scan that asked about secrets nothing is kept
		p.keep(ctx, o.place, r, s.Judge.Set)
	}
	scan.Show(r, only)
	if err := writers.write(ctx, r); err != nil {
		return err
	}
	if s.Live != nil {
		fmt.Fprintln(p.stderr, "bulwark: "+verified(s.Live.Tally()))
	}
	p.verdict, p.zero = r.Decision.Verdict, o.exitZero
	return nil
}

// lean makes the collector work harder from when layers are read: large images
// make much garbage, and a lean process is worth the work. What was kept is read
// faster without.
func lean(tell func(scan.Progress)) func(scan.Progress) {
	var once sync.Once
	return func(q scan.Progress) {
		if q.Phase == "layers" {
			once.Do(func() { debug.SetGCPercent(25) })
		}
		tell(q)
	}
}

// scanner makes a scanner of what was typed. The caller calls done.
func (p *program) scanner(ctx context.Context, kind bulwark.Kind, o *scanFlags) (s *scan.Scanner, done func(), err error) {
	s = &scan.Scanner{
		Tool:     bulwark.Tool{Name: "bulwark", Version: p.version},
		Build:    p.build(),
		Now:      p.now,
		Stale:    24 * time.Hour,
		Parallel: o.parallel,
		Config:   !o.noConfig,
		Open: artifact.Options{
			Kind: kind, From: o.from,
			Images: oci.Opener{Env: p.env, UserAgent: "bulwark/" + p.version},
			Git:    git.Fetcher{Credentials: p.gitCredentials, UserAgent: "bulwark/" + p.version},
			OpenOptions: bulwark.OpenOptions{
				Platform: o.platform, PlainHTTP: o.plainHTTP, CAFile: o.caFile, Offline: o.offline, SkipDirs: o.skipDirs,
				Runtime: o.runtime, Layers: o.layers,
			},
		},
	}
	s.Licenses = o.licenses
	if s.Benchmark = o.benchmark; o.benchmark != "" && !slices.Contains(check.Benchmarks(), o.benchmark) {
		return nil, nil, fmt.Errorf("--benchmark %q: there is %s: %w", o.benchmark, strings.Join(check.Benchmarks(), ", "), bulwark.ErrUsage)
	}
	if s.Blame, err = blame(o.blame); err != nil {
		return nil, nil, err
	}
	s.Archives = o.archives || kind == bulwark.KindFunction
	if s.Secrets, err = choice("secrets", o.secrets, kind != bulwark.KindHost); err != nil {
		return nil, nil, err
	}
	if o.verify {
		if s.Live, err = p.verifier(kind, o, s.Secrets); err != nil {
			return nil, nil, err
		}
	}
	if s.Malware, err = choice("malware", o.malware, kind != bulwark.KindHost || o.malwareFlags.given()); err != nil {
		return nil, nil, err
	}
	if s.Judge, err = p.judge(&o.gateFlags); err != nil {
		return nil, nil, err
	}
	if s.Baseline, err = baseline(o.onlyNew, o.baseline); err != nil {
		return nil, nil, err
	}
	if s.VEX, err = statements(o.vex); err != nil {
		return nil, nil, err
	}
	if s.Ignores, err = ignores(o.ignoreFile); err != nil {
		return nil, nil, err
	}
	// A scan without a place to keep things works, only slower.
	if s.Cache, err = p.results(o.place); err != nil {
		fmt.Fprintf(p.stderr, "bulwark: nothing is kept for the next scan: %v\n", err)
	}
	s.Images = p.images(o.place)
	lists := func() {}
	if s.Malware {
		if lists, err = o.malwareFlags.set(ctx, s); err != nil {
			lists()
			return nil, nil, err
		}
	}
	if o.jarIndex != "" {
		if s.Jars, err = scan.OpenJars(ctx, o.jarIndex); err != nil {
			lists()
			return nil, nil, err
		}
	}
	if s.DB, err = p.database(ctx, o.place); err != nil {
		lists()
		return nil, nil, errors.Join(err, s.Jars.Close())
	}
	return s, func() { s.DB.Close(); s.Jars.Close(); lists() }, nil
}

// choice reads a flag that is on, off, or left to what is usual.
func choice(name, value string, usual bool) (bool, error) {
	switch value {
	case "on":
		return true, nil
	case "off":
		return false, nil
	case "auto":
		return usual, nil
	}
	return false, fmt.Errorf("--%s %q: it is on, off or auto: %w", name, value, bulwark.ErrUsage)
}

// database opens the local database, or else the embedded starter set.
func (p *program) database(ctx context.Context, l place) (*advisory.DB, error) {
	if dir, err := p.dbDir(l); err == nil {
		db, err := advisory.Open(dir)
		if err == nil || !errors.Is(err, bulwark.ErrNotFound) {
			return db, err
		}
	}
	records, err := starter.Records()
	if err != nil {
		return nil, err
	}
	return advisory.Starter(ctx, records)
}

// severityHint says which severities there are.
func severityHint(err error) error {
	var names []string
	for _, s := range bulwark.Severities() {
		names = append(names, s.String())
	}
	return &bulwark.Hint{Err: err, Next: "use one of " + strings.Join(names, ", ")}
}

func severities(list string) ([]bulwark.Severity, error) {
	var out []bulwark.Severity
	for name := range strings.SplitSeq(list, ",") {
		if name == "" {
			continue
		}
		s, err := bulwark.ParseSeverity(name)
		if err != nil {
			return nil, severityHint(fmt.Errorf("--severity: %w", err))
		}
		out = append(out, s)
	}
	return out, nil
}

// statements reads what vendors say.
func statements(names []string) ([]attest.Document, error) {
	var out []attest.Document
	for _, name := range names {
		b, err := readFile(name)
		if err != nil {
			return nil, err
		}
		doc, err := attest.ParseVEX(name, b)
		if err != nil {
			return nil, err
		}
		out = append(out, doc)
	}
	return out, nil
}

// baseline reads the report whose findings do not count; nil when none is asked for.
func baseline(onlyNew bool, name string) (*bulwark.Report, error) {
	if onlyNew != (name != "") {
		return nil, fmt.Errorf("--only-new and --baseline belong together: %w", bulwark.ErrUsage)
	}
	if name == "" {
		return nil, nil
	}
	return readReport(name)
}

func ignores(name string) ([]ignore.Entry, error) {
	b, err := readFile(cmpOr(name, ignoreFile))
	if name == "" && errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, faults := ignore.Parse(cmpOr(name, ignoreFile), b)
	return list, errors.Join(faults...)
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fileLimit bounds files that a person names on the command line, bytes.
const fileLimit = 64 << 20

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > fileLimit {
		return nil, fmt.Errorf("read %q: %w", name, bulwark.ErrTooLarge)
	}
	return os.ReadFile(filepath.Clean(name))
}

func readReport(name string) (*bulwark.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	defer f.Close()
	r, err := jsonreport.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("read report %q: %w", name, err)
	}
	return r, nil
}

// blame reads the flag of that name; "", of commands without it, is none.
func blame(s string) (scan.Blame, error) {
	switch s {
	case "", "none":
		return scan.BlameNone, nil
	case "findings":
		return scan.BlameFindings, nil
	case "all":
		return scan.BlameAll, nil
	}
	return scan.BlameNone, fmt.Errorf("--blame %q: it is findings, all or none: %w", s, bulwark.ErrUsage)
}
