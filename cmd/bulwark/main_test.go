// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // names Java archives
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark/scan"
)

// clockVariable moves the clock of one bulwark of a story, so that a database
// grows old without waiting: a duration such as "192h".
const clockVariable = "STORY_CLOCK"

func TestMain(m *testing.M) {
	// The parsing child is this binary again; it must not look at test flags.
	if len(os.Args) == 2 && os.Args[1] == scan.ChildArg {
		os.Exit(run())
	}
	testscript.Main(m, map[string]func(){"bulwark": func() { os.Exit(runStory()) }})
}

// runStory is run, except that a story may move the clock.
func runStory() int {
	shift, err := time.ParseDuration(os.Getenv(clockVariable))
	if err != nil {
		return run()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := &program{
		stdout: os.Stdout, stderr: os.Stderr,
		env: os.Getenv, environ: os.Environ, version: buildVersion(),
		now: func() time.Time { return time.Now().Add(shift) },
	}
	return p.main(ctx, os.Args[1:])
}

// TestStories runs every story of testdata: one file is what one person does.
//
// Beside the commands of testscript a story has:
//
//	exitcode N ARG…      run bulwark, its exit code must be N
//	json FILE PATH WANT  look into JSON, see lookup
//	findings FILE OUT    write what a report found to OUT, one sorted line each
//	lines FILE MIN MAX   FILE has so many lines
//	image …              build an image, see buildImage
//	registry …           start a registry, see startRegistry
//	db OUT DIR…          make an export of advisories, see buildExport
//	interrupt …          send SIGINT in the middle of a scan
//	nobody N ARG…        as exitcode, without root's rights
//	tty N ARG…           as exitcode, on a terminal of 100 columns
//	corrupt FILE         change one byte in the middle of FILE
//	damage DIR           the same to the largest file below DIR
//	key FILE             make a private key that nobody has
//	clamd SOCKET …       start a ClamAV daemon, see startClamd
//	digest HASH FILE OUT write FILE's digest in hexadecimal to OUT
//	jar FILE LIST G,A,V  make a Java archive that does not say what it is, and
//	                     add its SHA-1 and what it is to LIST
//	program FILE         make a Go program: a copy of the running one
//	gitserver DIR …      serve repositories, see serveGit
//	let NAME FILE PATH   keep what a path of JSON leads to in $NAME
//	zip OUT DIR          pack what lies in DIR into a zip archive
//	manual PAGE…         do what pages below docs tell, see runManual
//
// A story finds the files of testdata/world/world.txtar below $WORLD, and example
// policies with their tests below $EXAMPLES.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode":  exitcode,
			"json":      checkJSON,
			"let":       letJSON,
			"findings":  findings,
			"lines":     lines,
			"image":     buildImage,
			"registry":  startRegistry,
			"db":        buildExport,
			"interrupt": interrupt,
			"nobody":    nobody,
			"tty":       onTerminal,
			"corrupt":   corrupt,
			"damage":    damage,
			"key":       makeKey,
			"clamd":     startClamd,
			"digest":    digestOf,
			"jar":       makeJar,
			"program":   makeProgram,
			"zip":       packZip,
			"gitserver": serveGit,
			"manual":    runManual,
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// storyKey is the key of a story's own things.
type storyKey struct{}

// A story is what the commands of one script share.
type story struct {
	registry *storyRegistry
}

func storyOf(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

// setup gives each story an empty home, no engine of this machine, and the files
// that all stories share.
func setup(env *testscript.Env) error {
	env.Values[storyKey{}] = &story{}
	home := filepath.Join(env.WorkDir, "home")
	if err := os.Mkdir(home, 0o777); err != nil {
		return err
	}
	world := filepath.Join(env.WorkDir, "world")
	archive, err := txtar.ParseFile(filepath.Join("testdata", "world", "world.txtar"))
	if err != nil {
		return err
	}
	if err := txtar.Write(archive, world); err != nil {
		return err
	}
	docs, err := filepath.Abs(filepath.Join("..", "..", "docs"))
	if err != nil {
		return err
	}
	examples, err := filepath.Abs("../../policy/policytest/testdata/examples")
	if err != nil {
		return err
	}
	for k, v := range map[string]string{
		"DOCS": docs, "EXAMPLES": examples, "HOME": home, "WORLD": world, "LANG": "C.UTF-8", "TERM": "xterm-256color",
		"DOCKER_HOST":         "unix://" + filepath.Join(env.WorkDir, "no-docker.sock"),
		"CONTAINER_HOST":      "unix://" + filepath.Join(env.WorkDir, "no-podman.sock"),
		"CONTAINERD_ADDRESS":  filepath.Join(env.WorkDir, "no-containerd.sock"),
		"XDG_RUNTIME_DIR":     filepath.Join(env.WorkDir, "no-runtime"),
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
		"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
	} {
		env.Setenv(k, v)
	}
	return nil
}

// exitcode runs bulwark and compares its exit code.
func exitcode(ts *testscript.TestScript, neg bool, args []string) {
	want, args := code(ts, neg, args)
	err := ts.Exec("bulwark", args...)
	compareCode(ts, want, args, err)
}

// code takes the wanted exit code off the arguments.
func code(ts *testscript.TestScript, neg bool, args []string) (int, []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exitcode N ARG…")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	return n, args[1:]
}

func compareCode(ts *testscript.TestScript, want int, args []string, err error) {
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("run bulwark: %v", err)
	}
	if got != want {
		ts.Fatalf("bulwark %s: exit code %d, want %d", strings.Join(args, " "), got, want)
	}
}

// lines compares how many lines a file has.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lines FILE MIN MAX")
	}
	least, err := strconv.Atoi(args[1])
	ts.Check(err)
	most, err := strconv.Atoi(args[2])
	ts.Check(err)
	text := ts.ReadFile(args[0])
	n := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		n++
	}
	if n < least || n > most {
		ts.Fatalf("%s has %d lines, want %d to %d", args[0], n, least, most)
	}
}

// corrupt changes one byte in the middle of a file.
func corrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: corrupt FILE")
	}
	b := []byte(ts.ReadFile(args[0]))
	b[len(b)/2] ^= 0x55
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// command makes a bulwark with the story's environment, for the ways of running
// it that testscript does not have.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	path, err := exec.LookPath("bulwark")
	ts.Check(err)
	cmd := exec.Command(path, args...)
	cmd.Dir = ts.MkAbs(".")
	for _, k := range []string{"HOME", "PATH", "TMPDIR", "LANG", "TERM", "NO_COLOR", "DOCKER_CONFIG", "DOCKER_HOST", "CONTAINER_HOST", "CONTAINERD_ADDRESS", "XDG_RUNTIME_DIR", clockVariable} {
		if v := ts.Getenv(k); v != "" {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
	}
	return cmd
}

// makeJar makes a Java archive without a name, and a line that names it.
func makeJar(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: jar FILE LIST GROUP,ARTIFACT,VERSION")
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("org/example/" + strings.ReplaceAll(args[2], ",", "_") + ".class")
	ts.Check(err)
	_, err = w.Write([]byte(args[2]))
	ts.Check(errors.Join(err, z.Close()))
	name := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	ts.Check(os.WriteFile(name, b.Bytes(), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), fmt.Appendf(nil, "%x,%s\n", sha1.Sum(b.Bytes()), args[2]), 0o644))
}

// makeProgram copies the running test, which is a Go program of known modules.
func makeProgram(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: program FILE")
	}
	self, err := os.Executable()
	ts.Check(err)
	b, err := os.ReadFile(self)
	ts.Check(err)
	name := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	ts.Check(os.WriteFile(name, b, 0o755))
}

// nobody runs bulwark as a user who may not read everything; root becomes one.
func nobody(ts *testscript.TestScript, neg bool, args []string) {
	want, args := code(ts, neg, args)
	cmd := command(ts, args)
	if os.Getuid() == 0 {
		const id = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
		// The temporary folders are root's alone; let the way to them be walked.
		for _, name := range []string{cmd.Path, cmd.Dir} {
			for dir := filepath.Dir(name); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
				ts.Check(os.Chmod(dir, 0o755))
			}
		}
		ts.Check(os.Chmod(cmd.Dir, 0o755))
		for _, name := range []string{ts.Getenv("HOME"), ts.Getenv("TMPDIR")} {
			ts.Check(os.Chown(name, id, id))
		}
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	fmt.Fprint(ts.Stdout(), out.String())
	fmt.Fprint(ts.Stderr(), errs.String())
	compareCode(ts, want, args, err)
}

// patience bounds every wait of a story.
const patience = 30 * time.Second

// interrupt starts a scan, waits until the registry holds a layer back and N
// files are in the folder of kept results, then sends SIGINT:
//
//	interrupt N ARG…
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	kept, args := code(ts, neg, args)
	cmd := command(ts, args)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	ts.Check(cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	sent := false
	for {
		select {
		case err := <-done:
			fmt.Fprint(ts.Stdout(), out.String())
			fmt.Fprint(ts.Stderr(), errs.String())
			if !sent {
				ts.Fatalf("bulwark ended before it could be interrupted: %v", err)
			}
			compareCode(ts, exitInterrupted, args, err)
			return
		case <-tick.C:
			if !sent && storyOf(ts).registry.holding() && keptFiles(ts) >= kept {
				ts.Check(cmd.Process.Signal(syscall.SIGINT))
				sent = true
			}
		case <-late:
			cmd.Process.Kill()
			<-done
			ts.Fatalf("waited %s; %d files are kept, interrupted: %t", patience, keptFiles(ts), sent)
		}
	}
}

// keptFiles counts the finished files in the folder of kept results.
func keptFiles(ts *testscript.TestScript) int {
	n := 0
	root := filepath.Join(ts.Getenv("HOME"), ".cache", "bulwark", "results")
	filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && len(filepath.Base(path)) >= 32 && !strings.HasPrefix(d.Name(), ".") {
			n++
		}
		return nil
	})
	return n
}

// sorted gives the lines of a set.
func sorted(set map[string]bool) string {
	var b strings.Builder
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range set {
			if !yield(k) {
				return
			}
		}
	}) {
		fmt.Fprintln(&b, k)
	}
	return b.String()
}

// damage changes one byte in the middle of the largest file of a folder.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage DIR")
	}
	var name string
	var size int64
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			name, size = path, info.Size()
		}
		return err
	}))
	ts.Check(os.Chmod(name, 0o644))
	corrupt(ts, false, []string{name})
}

// makeKey writes a new RSA key as ssh-keygen does.
func makeKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: key FILE")
	}
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	ts.Check(err)
	ts.Check(write(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})))
}
