// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"context"
	"io/fs"
	"slices"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/apk"
	"github.com/bulwark-sec/bulwark/extract/dotnet"
	"github.com/bulwark-sec/bulwark/extract/dpkg"
	"github.com/bulwark-sec/bulwark/extract/gobinary"
	"github.com/bulwark-sec/bulwark/extract/gomod"
	"github.com/bulwark-sec/bulwark/extract/java"
	"github.com/bulwark-sec/bulwark/extract/npm"
	"github.com/bulwark-sec/bulwark/extract/osrelease"
	"github.com/bulwark-sec/bulwark/extract/php"
	"github.com/bulwark-sec/bulwark/extract/python"
	"github.com/bulwark-sec/bulwark/extract/rpm"
	"github.com/bulwark-sec/bulwark/extract/ruby"
	"github.com/bulwark-sec/bulwark/extract/rust"
	"github.com/bulwark-sec/bulwark/extract/sbom"
)

// installed lists the extractors of what is installed: they look at what a
// package manager or a build left behind, and run on every kind of artifact.
func installed() []Extractor {
	return []Extractor{
		dotnet.DepsJSON{},
		gobinary.Extractor{},
		java.Archive{},
		npm.Installed{},
		php.Installed{},
		python.Installed{},
		ruby.Installed{},
		rust.Auditable{},
	}
}

// declared lists the extractors of what is only declared: lock files and
// manifests. They run where sources are, not on images and hosts, whose lock
// files mostly belong to tests and examples of something installed.
func declared() []Extractor {
	return []Extractor{
		dotnet.PackagesConfig{},
		dotnet.PackagesLock{},
		gomod.Extractor{},
		java.GradleLock{},
		java.GradleVerification{},
		java.PomXML{},
		npm.PackageLock{},
		npm.PnpmLock{},
		npm.YarnLock{},
		php.ComposerLock{},
		python.LockTOML{},
		python.PipfileLock{},
		python.Requirements{},
		ruby.GemfileLock{},
		rust.CargoLock{},
	}
}

// databases lists the readers of operating systems' package databases.
func databases() []Database {
	return []Database{
		apk.Extractor{},
		dpkg.Extractor{},
		rpm.Extractor{},
	}
}

// Extractors gives the extractors that look at files of an artifact of a kind.
func Extractors(kind bulwark.Kind) []Extractor {
	switch kind {
	case bulwark.KindSBOM:
		return []Extractor{bill{}}
	case bulwark.KindImage, bulwark.KindHost:
		return installed()
	}
	return slices.Concat(installed(), declared())
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

// bill is a bill of materials that is scanned as an artifact of its own.
type bill struct{ sbom.Document }

func (bill) Inventory(ctx context.Context, f *bulwark.File) (bulwark.Inventory, error) {
	return sbom.Read(ctx, f)
}
