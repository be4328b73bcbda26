// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"context"
	"io/fs"
	"slices"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/actions"
	"github.com/bulwark-sec/bulwark/extract/apk"
	"github.com/bulwark-sec/bulwark/extract/binary"
	"github.com/bulwark-sec/bulwark/extract/cpp"
	"github.com/bulwark-sec/bulwark/extract/cran"
	"github.com/bulwark-sec/bulwark/extract/dart"
	"github.com/bulwark-sec/bulwark/extract/dotnet"
	"github.com/bulwark-sec/bulwark/extract/dpkg"
	"github.com/bulwark-sec/bulwark/extract/flatpak"
	"github.com/bulwark-sec/bulwark/extract/gobinary"
	"github.com/bulwark-sec/bulwark/extract/gomod"
	"github.com/bulwark-sec/bulwark/extract/haskell"
	"github.com/bulwark-sec/bulwark/extract/hex"
	"github.com/bulwark-sec/bulwark/extract/homebrew"
	"github.com/bulwark-sec/bulwark/extract/java"
	"github.com/bulwark-sec/bulwark/extract/julia"
	"github.com/bulwark-sec/bulwark/extract/kernel"
	"github.com/bulwark-sec/bulwark/extract/lua"
	"github.com/bulwark-sec/bulwark/extract/model"
	"github.com/bulwark-sec/bulwark/extract/nix"
	"github.com/bulwark-sec/bulwark/extract/npm"
	"github.com/bulwark-sec/bulwark/extract/opam"
	"github.com/bulwark-sec/bulwark/extract/osrelease"
	"github.com/bulwark-sec/bulwark/extract/pacman"
	"github.com/bulwark-sec/bulwark/extract/pe"
	"github.com/bulwark-sec/bulwark/extract/perl"
	"github.com/bulwark-sec/bulwark/extract/php"
	"github.com/bulwark-sec/bulwark/extract/portage"
	"github.com/bulwark-sec/bulwark/extract/python"
	"github.com/bulwark-sec/bulwark/extract/rpm"
	"github.com/bulwark-sec/bulwark/extract/ruby"
	"github.com/bulwark-sec/bulwark/extract/rust"
	"github.com/bulwark-sec/bulwark/extract/sbom"
	"github.com/bulwark-sec/bulwark/extract/serverless"
	"github.com/bulwark-sec/bulwark/extract/snap"
	"github.com/bulwark-sec/bulwark/extract/swift"
	"github.com/bulwark-sec/bulwark/extract/terraform"
	"github.com/bulwark-sec/bulwark/extract/wordpress"
)

// installed lists the extractors of what is installed: they look at what a
// package manager or a build left behind, and run on every kind of artifact.
func installed(known Known) []Extractor {
	return []Extractor{
		binary.Classifier{},
		binary.RuntimeFile{},
		cpp.VcpkgSPDX{},
		cpp.VcpkgStatus{},
		cran.Installed{},
		dotnet.DepsJSON{},
		gobinary.Extractor{},
		haskell.CabalPlan{},
		hex.Application{},
		homebrew.Extractor{},
		java.Archive{Known: known.jars},
		java.NativeImage{},
		julia.Installed{},
		kernel.Image{},
		kernel.Module{},
		lua.Installed{},
		model.Card{},
		model.Config{},
		model.GGUF{},
		model.Pickle{},
		model.Ref{},
		model.Safetensors{},
		nix.Store{},
		npm.Installed{},
		opam.Installed{},
		pe.Version{},
		perl.Installed{},
		perl.Local{},
		php.Installed{},
		python.CondaInstalled{},
		python.Installed{},
		ruby.Installed{},
		rust.Auditable{},
		terraform.Modules{},
		terraform.Provider{},
		wordpress.Core{},
		wordpress.Plugin{},
		wordpress.Theme{},
	}
}

// declared lists the extractors of what is only declared: lock files and
// manifests. They run where sources are, not on images and hosts, whose lock
// files mostly belong to tests and examples of something installed.
func declared() []Extractor {
	return []Extractor{
		actions.Action{},
		actions.Workflow{},
		cpp.ConanLock{},
		cpp.VcpkgManifest{},
		cran.RenvLock{},
		dart.PubspecLock{},
		dotnet.PackagesConfig{},
		dotnet.PackagesLock{},
		gomod.Extractor{},
		haskell.CabalFreeze{},
		haskell.StackLock{},
		hex.MixLock{},
		hex.RebarLock{},
		java.GradleLock{},
		java.GradleVerification{},
		java.PomXML{},
		julia.Manifest{},
		lua.Lock{},
		npm.BunLock{},
		npm.DenoLock{},
		npm.PackageLock{},
		npm.PnpmLock{},
		npm.YarnLock{},
		opam.Locked{},
		perl.Snapshot{},
		php.ComposerLock{},
		python.CondaEnvironment{},
		python.CondaLock{},
		python.LockTOML{},
		python.PipfileLock{},
		python.Requirements{},
		ruby.GemfileLock{},
		rust.CargoLock{},
		serverless.Declared{},
		swift.PackageResolved{},
		swift.PodfileLock{},
		terraform.Lock{},
	}
}

// databases lists the readers of operating systems' package databases.
func databases() []Database {
	return []Database{
		apk.Extractor{},
		dpkg.Extractor{},
		flatpak.Extractor{},
		nix.Database{},
		pacman.Extractor{},
		portage.Extractor{},
		rpm.Extractor{},
		snap.Extractor{},
	}
}

// Extractors gives the extractors that look at files of an artifact of a kind.
// They ask known as long as they are used.
func Extractors(kind bulwark.Kind, known Known) []Extractor {
	switch kind {
	case bulwark.KindSBOM:
		return []Extractor{bill{}}
	case bulwark.KindImage, bulwark.KindHost, bulwark.KindVM:
		return installed(known)
	case bulwark.KindFunction:
		return slices.Concat(installed(known), declared(), []Extractor{serverless.Code{}})
	}
	return slices.Concat(installed(known), declared())
}

// Databases gives the readers of package databases for an artifact of a kind.
func Databases(kind bulwark.Kind) []Database {
	if kind == bulwark.KindSBOM {
		return nil
	}
	return databases()
}

// IsRelease tells whether a file names the distribution.
func IsRelease(path string) bool { return osrelease.Wants(path, bulwark.Stat{}) }

// OS finds out the distribution from merged files; nil when there is none. What
// is not supported, or no longer by its maker, is told as gaps.
func OS(fsys fs.FS) (*bulwark.OS, []bulwark.Gap) { return osrelease.Detect(fsys) }

// SupportEnds gives the last day on which a distribution's release gets security
// fixes for everybody, at midnight UTC. It is false where no end is known.
func SupportEnds(os *bulwark.OS) (time.Time, bool) { return osrelease.EOL(os) }

// bill is a bill of materials that is scanned as an artifact of its own.
type bill struct{ sbom.Document }

func (bill) Inventory(ctx context.Context, f *bulwark.File) (bulwark.Inventory, error) {
	return sbom.Read(ctx, f)
}
