// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"io/fs"
	"path"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// content counts the bytes of a layer's files by area. It is a function of the
// layer alone: what the layer is for is judged from it later, see classify.
type content map[string]int64

// area tells which part of an image a file belongs to, by where it lies, what it
// is called, and its mode.
func area(name string, mode fs.FileMode, size int64) string {
	low := strings.ToLower(name)
	if systemPath(low) {
		return bulwark.AreaSystem
	}
	if languagePath(low) {
		return bulwark.AreaLanguage
	}
	base := path.Base(low)
	ext := path.Ext(base)
	if strings.HasPrefix(low, "etc/") || size <= maxSetting && setting(low, base, ext) {
		return bulwark.AreaConfig
	}
	switch ext {
	case ".c", ".cc", ".cpp", ".cs", ".css", ".class", ".dll", ".ear", ".ejs", ".elf", ".erb", ".ex", ".exe", ".exs", ".fs", ".go", ".groovy", ".h", ".hbs", ".htm",
		".html", ".jar", ".java", ".jl", ".js", ".json", ".jsp", ".jsx", ".kt", ".lock", ".lua", ".map", ".md", ".mjs", ".cjs", ".node", ".php", ".phtml", ".pl", ".pm", ".proto",
		".ps1", ".py", ".pyc", ".pyd", ".r", ".rb", ".rs", ".scala", ".scss", ".sh", ".so", ".sql", ".svelte", ".svg", ".swift", ".tmpl", ".ts", ".tsx", ".twig", ".vue",
		".war", ".wasm", ".xml", ".xsl", ".yaml", ".yml":
		return bulwark.AreaCode
	case "", ".bin":
		if mode&0o111 != 0 {
			return bulwark.AreaCode
		}
	}
	if strings.Contains(base, ".so.") || mode&0o111 != 0 && ext != "" && strings.Trim(ext[1:], "0123456789") == "" {
		return bulwark.AreaCode // a library, or a program with its version
	}
	switch base {
	case "dockerfile", "makefile", "gemfile", "rakefile", "procfile", "license", "readme", "copying", "notice":
		return bulwark.AreaCode
	}
	return bulwark.AreaData
}

// systemPath tells whether the operating system's packages put their files there.
func systemPath(p string) bool {
	first, rest, _ := strings.Cut(p, "/")
	switch first {
	case "bin", "sbin", "lib", "lib32", "lib64", "libx32", "boot", "media", "mnt":
		return true
	case "usr":
		second, _, _ := strings.Cut(rest, "/")
		return second != "local" && second != "src" && second != "app"
	case "var":
		second, third, _ := strings.Cut(rest, "/")
		switch second {
		case "cache", "log", "spool", "mail", "backups":
			return true
		case "lib":
			switch third, _, _ := strings.Cut(third, "/"); third {
			case "dpkg", "apt", "apk", "rpm", "dnf", "yum", "pacman", "ucf", "pam", "systemd", "python", "shells.state", "misc", "alternatives", "zypp", "swupd":
				return true
			}
		case "db":
			return strings.HasPrefix(third, "pkg/")
		}
	}
	return false
}

// languageParts are directories that package managers of languages fill.
var languageParts = [...]string{
	"/node_modules/", "/site-packages/", "/dist-packages/", "/gems/", "/.m2/repository/", "/.cargo/registry/", "/pkg/mod/", "/vendor/", "/.nuget/packages/",
	"/.gradle/caches/", "/.venv/", "/venv/lib/", "/.bundle/", "/site-library/", "/perl5/", "/luarocks/", "/.opam/", "/.pub-cache/", "/deps/hex/", "/.npm/", "/.cache/pip/", "/.yarn/", "/.pnpm-store/",
	"/conda-meta/", "/pkgs/", "/elpa/", "/boot-inf/lib/", "/web-inf/lib/",
}

func languagePath(p string) bool {
	p = "/" + p
	for _, part := range languageParts {
		if strings.Contains(p, part) {
			return true
		}
	}
	return false
}

// maxSetting is the size from which on a file is data, whatever it is called.
const maxSetting = 1 << 20

// setting tells whether a file outside /etc is configuration.
func setting(p, base, ext string) bool {
	switch ext {
	case ".conf", ".cfg", ".cnf", ".ini", ".properties", ".env", ".toml", ".service", ".crt", ".pem", ".cer", ".htaccess", ".vcl", ".hcl":
		return base != "pyproject.toml" && base != "cargo.toml"
	case ".json", ".yaml", ".yml", ".xml":
		dir := "/" + path.Dir(p) + "/"
		return strings.Contains(dir, "/config/") || strings.Contains(dir, "/conf/") || strings.Contains(dir, "/conf.d/") || strings.Contains(dir, "/settings/") ||
			strings.HasPrefix(base, "config") || strings.HasPrefix(base, "settings") || strings.HasPrefix(base, "application.") || strings.HasPrefix(base, "application-") || strings.HasPrefix(base, "appsettings")
	}
	return base == ".env" || strings.HasPrefix(base, ".env.")
}
