// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"cmp"
	"strings"
)

// Pieces of patterns. A version is taken to its end or not at all: what follows
// it in a pattern is something that can stand in no version.
const (
	two   = `(\d{1,4}\.\d{1,4})`
	three = `(\d{1,4}\.\d{1,4}\.\d{1,6})`
	some  = `(\d{1,4}(?:\.\d{1,6}){1,3})`
	end   = `(?:[^0-9A-Za-z.]|$)`
)

// says is the one rule of most products: a literal, and a pattern around it.
func says(lit, re string) []rule { return []rule{{lit: []string{lit}, re: re}} }

// alone is a rule for a version that is a text of its own, between zeros: lits
// are how it may begin, and also is what names the product elsewhere in the
// file.
func alone(re, also string, lits ...string) rule {
	for i := range lits {
		lits[i] = "\x00" + lits[i]
	}
	return rule{lit: lits, re: `\x00` + re + `\x00`, also: also}
}

// products is the list of what is known. Names in Bitnami's advisories are those
// of its export at OSV (https://github.com/bitnami/vulndb).
var products = []product{
	// Languages.
	{name: "python", bitnami: "python", stems: []string{"python", "libpython", "python3.5m", "python3.6m", "python3.7m", "libpython3.5m", "libpython3.6m", "libpython3.7m"}, rules: []rule{
		{lit: []string{"lib/python"}, re: `lib/python([23]\.\d{1,2})` + end},
		{lit: []string{"\x00{}."}, re: `\x00({}\.\d{1,3}(?:(?:a|b|rc)\d{1,2})?)\+?\x00`, also: "PYTHONHOME", series: true},
	}},
	{name: "pypy", stems: []string{"pypy", "libpypy-c", "libpypy3-c", "libpypy3.9-c", "libpypy3.10-c", "libpypy3.11-c"}, rules: says("[PyPy ", `\[PyPy `+three+` `)},
	{name: "node", bitnami: "node", stems: []string{"node", "nodejs", "libnode"}, rules: []rule{
		{lit: []string{"node.js/v"}, re: `node\.js/v` + three + end},
		{lit: []string{"\x00node v"}, re: `\x00node v` + three + `\x00`},
		{lit: []string{"\x00moduleLoadList"}, re: `\x00v` + three + `\x00moduleLoadList`},
		{lit: []string{"\x00--enable-ssl2"}, re: `\x00v` + three + `\x00--enable-ssl2`},
	}},
	{name: "deno", stems: []string{"deno"}, rules: []rule{
		{lit: []string{"Deno/"}, re: `Deno/` + three + `(?:[^0-9.]|$)`},
		{lit: []string{"release/v"}, re: `deno-[0-9a-f]{40}release/v` + three + `(?:[^0-9.]|$)`},
		{lit: []string{"deno-"}, re: `deno-[0-9a-f]{40}` + three + `release/v`},
	}},
	{name: "bun", stems: []string{"bun", "bunx"}, rules: says("Bun v", `\bBun v`+three+end)},
	{name: "java", bitnami: "java", stems: []string{"libjvm", "java"}, spell: javaVersion, rules: []rule{
		{lit: []string{" JRE ("}, re: ` VM \([^()\x00]{1,64}\) for [^()\x00]{1,32} JRE \(([0-9][0-9A-Za-z.+_-]{0,62})\)`},
		{lit: []string{"java\x000.0\x00", "java\x001."}, re: `java\x00(?:0\.0|1\.\d)\x00(\d{1,2}[0-9._]{0,20}(?:[-+][0-9A-Za-z.+-]{1,40})?)\x00`},
		{lit: []string{"openjdk\x00java\x00"}, re: `\x000\.0\x00+(\d{1,2}[0-9.]{0,20}\+[0-9A-Za-z.+-]{1,40})\x00+openjdk\x00java\x00`},
	}},
	{name: "ruby", bitnami: "ruby", stems: []string{"ruby", "libruby"}, rules: says("ruby ", `\bruby `+three+`(?:p\d{1,4})? \(\d{4}-\d\d-\d\d`)},
	{name: "perl", stems: []string{"perl", "libperl"}, rules: says("/perl", `/perl5?/(5\.\d{1,2}\.\d{1,2})(?:[/\x00]|$)`)},
	{name: "php", bitnami: "php", stems: []string{"php", "php-fpm", "php-cgi", "phpdbg", "libphp"}, rules: says("X-Powered-By: PHP/", `X-Powered-By: PHP/`+three+`(?:[^0-9.]|$)`)},
	{name: "lua", bitnami: "lua", stems: []string{"lua", "luac", "liblua", "liblua5.1-c++"}, rules: says("Lua 5.", `\bLua `+three+`  Copyright `)},
	{name: "luajit", stems: []string{"luajit", "libluajit"}, rules: says("LuaJIT ", `\bLuaJIT (\d\.\d\.\d{1,10}(?:-beta\d)?)`+end)},

	{name: "julia", stems: []string{"libjulia-internal", "libjulia"}, rules: []rule{
		{lit: []string{"\x00branch\x00commit\x00"}, re: `[^0-9A-Za-z.](\d\.\d{1,2}\.\d{1,2}(?:-(?:alpha|beta|rc)\d{1,2})?)\x00branch\x00commit\x00`},
		{lit: []string{"\x00julia version %s"}, re: `\x00(\d\.\d{1,2}\.\d{1,2}(?:-(?:alpha|beta|rc)\d{1,2})?)\x00julia version %s`},
	}},
	{name: "erlang", stems: []string{"beam", "beam.smp", "beam.debug.smp", "erlexec"}, rules: []rule{
		{lit: []string{"/otp_src_", "/erlang-"}, re: `/(?:otp_src_|erlang-)(\d{2}(?:\.\d{1,3}){1,4})(?:[+~-][0-9A-Za-z.+~-]{0,24})?/erts/`},
		{lit: []string{"\x00Erlang/OTP "}, re: `\x00(\d{2}(?:\.\d{1,3}){1,4})\x00+Erlang/OTP \d`},
	}},
	{name: "rust", stems: []string{"rustc", "librustc_driver", "libstd"}, rules: []rule{
		{lit: []string{"(rustc version "}, re: `\(rustc version ` + three + `(?:-(?:nightly|beta[.0-9]*))? \(`},
		{lit: []string{"/rustc-"}, re: `/rustc-` + three + `(?:-src)?/(?:library|compiler)/`},
	}},
	{name: "gcc", stems: []string{"gcc", "g++", "cc1", "cc1plus"}, rules: []rule{
		alone(`(\d{1,2}\.\d{1,2}\.\d{1,2})`, "GCC", "4.", "5.", "6.", "7.", "8.", "9.", "1"),
	}},
	{name: "ghc", stems: []string{"ghc"}, rules: says("\x00GHC ", `\x00GHC `+three+`\x00`)},
	{name: "dart", stems: []string{"dart", "dartvm", "dartaotruntime"}, rules: says(") (", `\x00(\d\.\d{1,2}\.\d{1,3}(?:-[0-9A-Za-z.]{1,32})?) \((?:stable|beta|dev)\) \([A-Z][a-z]{2} [A-Z]`)},
	{name: "swipl", stems: []string{"swipl", "libswipl"}, rules: says("/swipl-", `/swipl-(\d{1,2}\.\d{1,2}\.\d{1,2})/`)},

	// Web servers and proxies.
	{name: "nginx", bitnami: "nginx", stems: []string{"nginx"}, rules: says("nginx version: nginx/", `nginx version: nginx/`+three+end)},
	{name: "openresty", bitnami: "openresty", stems: []string{"nginx", "openresty"}, rules: says("nginx version: openresty/", `nginx version: openresty/`+some+end)},
	{name: "httpd", bitnami: "apache", stems: []string{"httpd", "apache"}, rules: says("Apache/2.", `\bApache/(2\.\d{1,2}\.\d{1,3})`+end)},
	{name: "lighttpd", stems: []string{"lighttpd"}, rules: says("lighttpd/1.", `\blighttpd/`+three+end)},
	{name: "haproxy", bitnami: "haproxy", stems: []string{"haproxy"}, rules: []rule{
		{lit: []string{"HAProxy version follows"}, re: `\x00(\d\.\d{1,2}(?:\.\d{1,3}|-dev\d{1,2}))[0-9A-Za-z.+~-]{0,40}\x00+HAProxy version follows`},
		{lit: []string{"HA-Proxy version "}, re: `HA-Proxy version (\d\.\d{1,2}(?:\.\d{1,3}|-dev\d{1,2}))(?:[ +~-]|$)`},
		{lit: []string{", released 20"}, re: ` version (\d\.\d{1,2}(?:\.\d{1,3}|-dev\d{1,2}))[0-9A-Za-z.+~-]{0,40}, released 20\d\d/`, also: "haproxy"},
	}},
	{name: "envoy", bitnami: "envoy", stems: []string{"envoy"}, rules: []rule{
		alone(`(1\.(?:[6-9]|[1-9]\d)\.\d{1,2})(?:-dev)?`, "envoy.admin", "1."),
	}},
	{name: "varnish", bitnami: "varnish", stems: []string{"varnishd", "libvarnishapi"}, rules: says("varnish-", `\(?varnish-`+three+` revision `)},
	{name: "squid", stems: []string{"squid"}, rules: says("squid/", `\bsquid/`+some+end)},
	{name: "proftpd", stems: []string{"proftpd"}, rules: says("ProFTPD Version ", `ProFTPD Version (\d\.\d\.\d{1,2}(?:rc\d|[a-z])?)`+end)},
	{name: "vsftpd", stems: []string{"vsftpd"}, rules: says("vsftpd: version ", `vsftpd: version `+three+end)},

	// Databases, caches, queues.
	{name: "redis", bitnami: "redis", stems: []string{"redis-server", "redis-cli", "redis-sentinel", "redis-benchmark", "redis-check-rdb", "redis-check-aof"}, rules: []rule{
		{lit: []string{"Redis version "}, re: `Redis version ` + three + `\x00`},
		{lit: []string{"\x00 (git:%s\x00"}, re: `\x00` + three + `\x00 \(git:%s\x00`, also: "redis"},
		{lit: []string{"-builtin\x00"}, re: `\x00([2-9]\.\d{1,2}\.\d{1,3})\x00(?:c11|sync|atomic)-builtin\x00`, also: "redis_version:%s"},
		{lit: []string{"000000000\x00"}, re: `[^0-9.]([2-9]\.\d{1,2}\.\d{1,2})(?:[a-z][0-9A-Za-z.-]{0,64}-)?1\d{9}000000000\x00`, also: "redis"},
	}},
	{name: "valkey", bitnami: "valkey", stems: []string{"valkey-server", "valkey-cli", "valkey-sentinel", "valkey-benchmark", "valkey-check-rdb", "valkey-check-aof"}, rules: []rule{
		{lit: []string{"\x00 (git:%s\x00"}, re: `\x00` + three + `\x00 \(git:%s\x00`, also: "valkey"},
		{lit: []string{"-builtin\x00"}, re: `\x00([7-9]\.\d{1,2}\.\d{1,3})\x00(?:c11|sync|atomic)-builtin\x00`, also: "valkey_version:%s"},
		{lit: []string{"000000000\x00"}, re: `[^0-9.](?:valkey)?([7-9]\.\d{1,2}\.\d{1,2})(?:[a-z][0-9A-Za-z.-]{0,64}-)?1\d{9}000000000\x00`, also: "valkey"},
	}},
	{name: "memcached", bitnami: "memcached", stems: []string{"memcached"}, rules: says("\x00memcached 1.", `\x00memcached (1\.\d\.\d{1,2})[\x00\n]`)},
	{name: "postgresql", bitnami: "postgresql", stems: []string{"postgres", "psql", "pg_dump", "pg_ctl", "pg_restore", "pg_basebackup", "initdb"}, rules: []rule{
		{lit: []string{"PostgreSQL "}, re: `PostgreSQL (\d{1,2}(?:\.\d{1,2}){1,2}|\d{1,2}(?:alpha|beta|rc)\d)(?: on | \()`},
		{lit: []string{"(PostgreSQL) "}, re: `\(PostgreSQL\) (\d{1,2}(?:\.\d{1,2}){1,2}|\d{1,2}(?:alpha|beta|rc)\d)(?:[ \n\x00]|$)`},
	}},
	{name: "pgbouncer", bitnami: "pgbouncer", stems: []string{"pgbouncer"}, rules: says("PgBouncer ", `PgBouncer `+three+end)},
	{name: "mariadb", bitnami: "mariadb", stems: []string{"mariadbd", "mariadb", "mysqld", "mysql", "mariadb-dump", "mariadb-admin", "mysqldump", "mysqladmin"}, rules: []rule{
		{lit: []string{"-MariaDB"}, re: `\x00((?:5|1\d)\.\d{1,2}\.\d{1,3})-MariaDB(?:-[0-9A-Za-z.+~:_-]{1,60})?\x00`},
		{lit: []string{"/mariadb-"}, re: `/mariadb-(1\d\.\d{1,2}\.\d{1,3})[-/]`},
	}},
	{name: "mysql", stems: []string{"mysqld", "mysql", "mysqldump", "mysqladmin"}, rules: []rule{
		{lit: []string{"/mysql-"}, re: `/mysql-([5-9]\.\d{1,2}\.\d{1,3})/`},
		{lit: []string{"mysql_real_escape_string"}, re: `\x00([5-9]\.\d{1,2}\.\d{1,3})\x00+mysql_real_escape_string`},
	}},
	{name: "mysql-cluster", stems: []string{"mysqld", "ndbd", "ndbmtd", "ndb_mgmd"}, rules: []rule{
		{lit: []string{"-ndb-"}, re: `\x005\.\d\.\d{1,3}-ndb-(\d\.\d{1,2}\.\d{1,3})\x00`},
		{lit: []string{"/mysql-cluster-gpl-"}, re: `/mysql-cluster-gpl-(\d\.\d{1,2}\.\d{1,3})/`},
	}},
	{name: "percona-server", stems: []string{"mysqld", "mysql", "mysqldump", "mysqladmin"}, rules: says("/percona-server-", `/percona-server-([5-9]\.\d{1,2}\.\d{1,3}-\d{1,3})/`)},
	{name: "mongodb", bitnami: "mongodb", stems: []string{"mongod", "mongos"}, rules: []rule{
		alone(`([4-9]\.\d\.\d{1,3})`, "mongodb://", "4.", "5.", "6.", "7.", "8.", "9."),
	}},
	{name: "arangodb", bitnami: "arangodb", stems: []string{"arangod", "arangosh"}, rules: says(" [linux]", `\x00(\d\.\d{1,2}\.\d{1,2}(?:-\d)?)(?: enterprise)? \[linux\]\x00`)},
	{name: "sqlite", bitnami: "sqlite", stems: []string{"sqlite", "libsqlite"}, rules: []rule{
		alone(`(3\.\d{1,2}\.\d{1,2})`, "sqlite_version", "3."),
	}},
	{name: "sqlcipher", stems: []string{"sqlcipher", "libsqlcipher"}, rules: says("\x00%s %s\x00", `community\x00(4\.\d{1,2}\.\d{1,2})\x00%s %s\x00`)},
	{name: "mosquitto", stems: []string{"mosquitto"}, rules: says("\x00mosquitto version %s", `\x00`+three+`\x00+mosquitto version %s`)},

	// Cryptography and transfer.
	{name: "openssl", stems: []string{"openssl", "libcrypto", "libssl"}, rules: says("OpenSSL ", `\bOpenSSL ([01]\.\d\.\d[a-z]{0,2}|[3-9]\.\d{1,2}\.\d{1,2})(?:-fips)? {1,2}\d{1,2} [A-Z][a-z]{2} 20\d\d`)},
	{name: "aws-lc", stems: []string{"openssl", "libcrypto", "libssl", "bssl"}, rules: says("; AWS-LC ", `\(compatible; AWS-LC `+three+`\)`)},
	{name: "gnutls", stems: []string{"libgnutls"}, rules: says("GnuTLS ", `\bGnuTLS (3\.\d{1,2}\.\d{1,2})`+end)},
	{name: "curl", stems: []string{"curl", "libcurl", "libcurl-gnutls", "libcurl-nss"}, rules: []rule{
		{lit: []string{"libcurl/"}, re: `\blibcurl/` + three + end},
		{lit: []string{"curl/"}, re: `\x00curl/` + three + `\x00`},
	}},
	{name: "wget", stems: []string{"wget"}, rules: []rule{
		{lit: []string{"/wget-1."}, re: `/wget-` + some + `[=/]`},
		alone(`(1\.\d{1,2}(?:\.\d{1,2})?)`, "GNU Wget", "1."),
	}},
	{name: "git", bitnami: "git", stems: []string{"git", "git-remote-http"}, rules: says("git/", `[^0-9A-Za-z/._-]git/`+three+`(?:[^0-9A-Za-z]|$)`)},
	{name: "openssh", stems: []string{"sshd", "ssh", "ssh-agent", "ssh-keygen", "ssh-add", "ssh-keyscan", "sftp-server", "sshd-session", "sshd-auth"}, rules: says("\x00OpenSSH_", `\x00OpenSSH_(\d{1,2}\.\d{1,2}p\d)[ ,\x00]`)},
	{name: "gnupg", stems: []string{"gpg", "gpgv", "gpg-agent", "gpgsm", "gpgconf", "dirmngr"}, rules: says(")\x002.", `(?:@GNUPG@|GnuPG)\)\x00+(2\.\d\.\d{1,2})\x00`)},
	{name: "rsync", stems: []string{"rsync"}, rules: []rule{alone(`(3\.\d\.\d{1,2})`, "rsync", "3.")}},
	{name: "openldap", bitnami: "openldap", stems: []string{"slapd", "ldapsearch", "ldapmodify"}, rules: says("$OpenLDAP: ", `\$OpenLDAP: [a-z -]{1,20} (2\.\d\.\d{1,2})(?:[^0-9.]|$)`)},
	{name: "krb5", stems: []string{"libkrb"}, rules: says("KRB5_BRAND: ", `KRB5_BRAND: krb5-(1\.\d{1,2}(?:\.\d{1,2})?)-final `)},
	{name: "heimdal", stems: []string{"libkrb"}, rules: says("$Version: Heimdal ", `\$Version: Heimdal `+three+` \$`)},
	{name: "openvpn", stems: []string{"openvpn"}, rules: says("\x00OpenVPN 2.", `\x00OpenVPN `+three+` [0-9a-z_]{3,12}-`)},
	{name: "tor", stems: []string{"tor"}, rules: says("\x00tor 0.", `\x00tor (0\.\d\.\d{1,2}\.\d{1,2})\x00`)},

	// Shells and tools.
	{name: "busybox", stems: []string{"busybox"}, rules: says("BusyBox v", `BusyBox v`+three+end)},
	{name: "toybox", stems: []string{"toybox"}, rules: []rule{alone(`(0\.\d{1,2}\.\d{1,2})`, "toybox %s", "0.")}},
	{name: "bash", stems: []string{"bash", "rbash"}, rules: says("Bash version ", `@\(#\)Bash version `+three+`\(`)},
	{name: "jq", stems: []string{"jq"}, rules: []rule{
		{lit: []string{"jq-1."}, re: `\bjq-(1\.\d{1,2}(?:\.\d{1,2})?)` + end},
		alone(`(1\.\d{1,2}(?:\.\d{1,2})?)`, "jq: error", "1."),
	}},
	{name: "gzip", stems: []string{"gzip"}, rules: []rule{alone(`(1\.\d{1,2})`, "bad pack level", "1.")}},
	{name: "xz", stems: []string{"xz"}, rules: says("xz (XZ Utils) ", `xz \(XZ Utils\) `+three+end)},
	{name: "util-linux", stems: []string{"getopt", "mount", "su", "fdisk", "lsblk"}, rules: says("util-linux ", `\butil-linux (2\.\d{1,2}(?:\.\d{1,2})?)`+end)},
	{name: "wp-cli", bitnami: "wp-cli", stems: []string{"wp"}, rules: says("wp-cli/wp-cli ", `wp-cli/wp-cli `+three+` `)},

	// Libraries.
	{name: "zlib", stems: []string{"libz"}, rules: says(" deflate 1.", ` deflate (1\.\d{1,2}(?:\.\d{1,2}){0,2}) Copyright 1995-\d{4} Jean-loup Gailly`)},
	{name: "zstd", stems: []string{"zstd", "libzstd"}, rules: []rule{
		{lit: []string{"\x00Zstandard CLI"}, re: `\x00v` + three + `\x00Zstandard CLI`},
		{lit: []string{"1.3.", "1.4.", "1.5.", "1.6."}, re: `[^0-9.](1\.[3-6]\.\d{1,2})\x00`, also: "ZSTD_"},
	}},
	{name: "libxml2", stems: []string{"libxml"}, spell: libxmlVersion, rules: []rule{
		{lit: []string{"209", "210", "211", "212", "213", "214", "215", "216"}, re: `[^0-9](2[01]\d{3})(?:-GIT[0-9A-Za-z.-]{1,40})?\x00`, also: "xmlParseDocument"},
	}},
	{name: "expat", stems: []string{"libexpat"}, rules: says("expat_2.", `\bexpat_(2\.\d{1,2}\.\d{1,2})\x00`)},
	{name: "glibc", stems: []string{"libc"}, rules: says("GNU C Library ", `GNU C Library \([^\n)]{1,64}\) (?:stable|development) release version (2\.\d{1,3}(?:\.\d{1,2})?)[.,]`)},
	{name: "musl", stems: []string{"ld-musl-x", "ld-musl-aarch", "ld-musl-i", "ld-musl-armhf", "ld-musl-armv7l", "ld-musl-riscv", "ld-musl-s390x", "ld-musl-powerpc64le", "libc", "libc.musl-x", "libc.musl-aarch"}, rules: []rule{
		alone(`(1\.\d\.\d{1,2})(?:-git[0-9A-Za-z-]{1,24})?`, "musl libc", "1."),
	}},
	{name: "qt", stems: []string{"libQt5Core", "libQt6Core", "libQtCore"}, rules: []rule{
		{lit: []string{"Qt "}, re: `\x00Qt ([456]\.\d{1,2}\.\d{1,2}) \(`},
		{lit: []string{"QtCore library version "}, re: `QtCore library version (4\.\d\.\d)\n`},
	}},

	// Media.
	{name: "ffmpeg", stems: []string{"ffmpeg", "ffprobe", "ffplay", "libavcodec", "libavutil", "libavformat"}, rules: []rule{
		{lit: []string{"FFmpeg version "}, re: `FFmpeg version n?(\d{1,2}(?:\.\d{1,2}){1,2})(?:[^0-9.]|$)`},
		{lit: []string{"%s version "}, re: `%s version n?(\d{1,2}(?:\.\d{1,2}){1,2})(?:[+~_-][0-9A-Za-z.+~:/_-]{0,60})?\x00+(?: Copyright \(c\) %d-%d the FFmpeg|%sbuilt with %s\n)`},
	}},
	{name: "imagemagick", stems: []string{"magick", "libMagickCore-6.Q", "libMagickCore-6.Q16HDRI", "libMagickCore-7.Q", "libMagickCore-7.Q16HDRI"}, rules: says("ImageMagick ", `ImageMagick (\d\.\d\.\d{1,2}-\d{1,3})`+end)},
	{name: "ghostscript", stems: []string{"gs", "libgs"}, rules: says("/ghostscript/", `/ghostscript/(9\.\d{1,2}(?:\.\d)?|1\d\.\d\d\.\d)/`)},

	// Browsers.
	{name: "chromium", stems: []string{"chrome", "chromium", "headless_shell"}, rules: []rule{
		{lit: []string{".0.4", ".0.5", ".0.6", ".0.7", ".0.8", ".0.9"}, re: `\x00(\d{2,3}\.0\.[4-9]\d{3}\.[1-9]\d{0,2})\x00`, also: "chromium"},
	}},

	// Services.
	{name: "fluent-bit", bitnami: "fluent-bit", stems: []string{"fluent-bit", "libfluent-bit"}, rules: says("Fluent Bit v%s", `\x00(\d{1,2}\.\d{1,2}\.\d{1,2})\x00+(?:\x1b\[1m\x00)?(?:%s)?Fluent Bit v%s`)},
	{name: "unbound", stems: []string{"unbound", "libunbound"}, rules: says("unbound 1.", `\bunbound (1\.\d{1,2}\.\d{1,2})`+end)},
	{name: "bind", stems: []string{"named", "libisc", "libns", "libdns"}, rules: says("BIND 9.", `\bBIND (9\.\d{1,2}\.\d{1,2}(?:-P\d)?)`+end)},
	{name: "dnsmasq", stems: []string{"dnsmasq"}, rules: says("dnsmasq-2.", `\bdnsmasq-(2\.\d{1,3})`+end)},
	{name: "postfix", stems: []string{"postconf", "libpostfix-global"}, rules: says("\x00mail_version", `\x00mail_version[=\x00](3\.\d{1,2}\.\d{1,2})\x00`)},
	{name: "exim", stems: []string{"exim"}, rules: says("<<eximversion>>", `\x00(4\.\d{1,3}(?:\.\d{1,2})?)\x00+<<eximversion>>`)},
	{name: "dovecot", stems: []string{"dovecot", "libdovecot"}, rules: says(" (", `\x00(2\.\d\.\d{1,2}(?:\.\d{1,2})?) \([0-9a-f]{8,10}\)\x00`)},
	{name: "samba", stems: []string{"smbd", "nmbd", "winbindd", "libsamba-util", "libsmbconf", "libsamba-hostconfig"}, rules: says("\x00SAMBA_4.", `\x00SAMBA_(4\.\d{1,2}\.\d{1,3})(?:_[0-9A-Z_]{1,40})?\x00`)},

	// Written in Go.
	{name: "traefik", stems: []string{"traefik"}, module: module{path: "github.com/traefik/traefik", variable: true}},
	{name: "caddy", stems: []string{"caddy"}, module: module{path: "github.com/caddyserver/caddy", variable: true}},
	{name: "consul", bitnami: "consul", stems: []string{"consul"}, module: module{path: "github.com/hashicorp/consul", variable: true}, rules: says("CONSUL_VERSION: ", `<!-- CONSUL_VERSION: `+three+`\s`)},
	{name: "vault", bitnami: "vault", stems: []string{"vault"}, module: module{path: "github.com/hashicorp/vault", variable: true}},
	{name: "openbao", bitnami: "openbao", stems: []string{"bao"}, module: module{path: "github.com/openbao/openbao", variable: true}},
	{name: "nomad", stems: []string{"nomad"}, module: module{path: "github.com/hashicorp/nomad", variable: true}},
	{name: "terraform", stems: []string{"terraform"}, module: module{path: "github.com/hashicorp/terraform", variable: true}},
	{name: "packer", stems: []string{"packer"}, module: module{path: "github.com/hashicorp/packer", variable: true}},
	{name: "etcd", bitnami: "etcd", stems: []string{"etcd", "etcdctl", "etcdutl"}, module: module{path: "go.etcd.io/etcd", dep: "go.etcd.io/etcd/api/v3", variable: true, ignore: []string{"3.0.0"}}},
	{name: "containerd", stems: []string{"containerd", "ctr", "containerd-shim-runc-v"}, module: module{path: "github.com/containerd/containerd", variable: true, ignore: networkVersions}},
	{name: "runc", stems: []string{"runc"}, module: module{path: "github.com/opencontainers/runc", variable: true}},
	{name: "docker", bitnami: "docker-cli", stems: []string{"docker"}, module: module{path: "github.com/docker/cli", variable: true}},
	{name: "moby", stems: []string{"dockerd", "docker-proxy"}, module: module{path: "github.com/docker/docker", variable: true, vars: `github\.com/docker/docker/dockerversion\.Version`}},
	{name: "podman", stems: []string{"podman", "podman-remote"}, module: module{path: "github.com/containers/podman"}},
	{name: "buildah", stems: []string{"buildah"}, module: module{path: "github.com/containers/buildah"}},
	{name: "skopeo", stems: []string{"skopeo"}, module: module{path: "github.com/containers/skopeo"}},
	{name: "cri-o", stems: []string{"crio"}, module: module{path: "github.com/cri-o/cri-o", variable: true}},
	{name: "kubernetes", stems: []string{"kubectl", "kubelet", "kubeadm", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}, module: module{path: "k8s.io/kubernetes", variable: true, vars: `k8s\.io/(?:component-base|client-go/pkg|kubernetes/pkg)/version\.gitVersion`}},
	{name: "k3s", stems: []string{"k3s"}, module: module{path: "github.com/k3s-io/k3s", variable: true}},
	{name: "helm", bitnami: "helm", stems: []string{"helm"}, module: module{path: "helm.sh/helm", variable: true}},
	{name: "kustomize", bitnami: "kustomize", stems: []string{"kustomize"}, module: module{path: "sigs.k8s.io/kustomize/kustomize", variable: true}},
	{name: "argo-cd", bitnami: "argo-cd", stems: []string{"argocd"}, module: module{path: "github.com/argoproj/argo-cd", variable: true, vars: `github\.com/argoproj/argo-cd(?:/v\d+)?/common\.version`}},
	{name: "argo-workflows", bitnami: "argo-workflows", stems: []string{"argo", "workflow-controller", "argoexec"}, module: module{path: "github.com/argoproj/argo-workflows", variable: true}},
	{name: "cert-manager", bitnami: "cert-manager", stems: []string{"cert-manager", "controller", "webhook", "cainjector"}, module: module{path: "github.com/cert-manager/cert-manager", vars: `github\.com/cert-manager/cert-manager/pkg/util\.AppVersion`}},
	{name: "sealed-secrets", bitnami: "sealed-secrets", stems: []string{"kubeseal", "controller"}, module: module{path: "github.com/bitnami-labs/sealed-secrets", vars: `main\.VERSION`}},
	{name: "ingress-nginx", stems: []string{"nginx-ingress-controller"}, module: module{path: "k8s.io/ingress-nginx", variable: true, vars: `k8s\.io/ingress-nginx/version\.RELEASE`}},
	{name: "istio", stems: []string{"pilot-agent", "pilot-discovery", "istioctl"}, module: module{path: "istio.io/istio", variable: true, vars: `istio\.io/(?:istio/)?pkg/version\.buildVersion`}},
	{name: "cilium", bitnami: "cilium", stems: []string{"cilium", "cilium-agent", "cilium-operator"}, module: module{path: "github.com/cilium/cilium", variable: true, vars: `github\.com/cilium/cilium/pkg/version\.ciliumVersion`}},
	{name: "contour", bitnami: "contour", stems: []string{"contour"}, module: module{path: "github.com/projectcontour/contour", variable: true, vars: `github\.com/projectcontour/contour/internal/build\.Version`}},
	{name: "kyverno", bitnami: "kyverno", stems: []string{"kyverno"}, module: module{path: "github.com/kyverno/kyverno", vars: `github\.com/kyverno/kyverno/pkg/version\.BuildVersion`}},
	{name: "coredns", stems: []string{"coredns"}, module: module{path: "github.com/coredns/coredns"}},
	{name: "prometheus", bitnami: "prometheus", stems: []string{"prometheus", "promtool"}, module: module{path: "github.com/prometheus/prometheus", variable: true, vars: prometheusVars}},
	{name: "alertmanager", bitnami: "alertmanager", stems: []string{"alertmanager", "amtool"}, module: module{path: "github.com/prometheus/alertmanager", variable: true, vars: prometheusVars}},
	{name: "node-exporter", stems: []string{"node_exporter", "prometheus-node-exporter"}, module: module{path: "github.com/prometheus/node_exporter", variable: true, vars: prometheusVars}},
	{name: "grafana", bitnami: "grafana", stems: []string{"grafana", "grafana-server", "grafana-cli"}, module: module{path: "github.com/grafana/grafana", variable: true}},
	{name: "loki", stems: []string{"loki", "promtail", "logcli"}, module: module{path: "github.com/grafana/loki", variable: true, vars: prometheusVars}},
	{name: "jaeger", bitnami: "jaeger", stems: []string{"jaeger", "jaeger-all-in-one", "jaeger-collector", "jaeger-query", "jaeger-agent"}, module: module{path: "github.com/jaegertracing/jaeger", variable: true, vars: `github\.com/jaegertracing/jaeger/(?:pkg|internal)/version\.latestVersion`}},
	{name: "opentelemetry-collector", bitnami: "opentelemetry-collector", stems: []string{"otelcol", "otelcol-contrib"}, module: module{path: "go.opentelemetry.io/collector/cmd/otelcol"}},
	{name: "telegraf", stems: []string{"telegraf"}, module: module{path: "github.com/influxdata/telegraf", variable: true, vars: `github\.com/influxdata/telegraf/internal\.Version`}},
	{name: "influxdb", bitnami: "influxdb", stems: []string{"influxd", "influx"}, module: module{path: "github.com/influxdata/influxdb", variable: true}},
	{name: "minio", bitnami: "minio", stems: []string{"minio"}, spell: minioVersion, module: module{path: "github.com/minio/minio"}, rules: says("/minio/cmd.Version=", `github\.com/minio/minio/cmd\.Version=(20\d\d-\d\d-\d\d)T`)},
	{name: "seaweedfs", bitnami: "seaweedfs", stems: []string{"weed"}, module: module{path: "github.com/seaweedfs/seaweedfs", variable: true}},
	{name: "nats", bitnami: "nats", stems: []string{"nats-server"}, module: module{path: "github.com/nats-io/nats-server"}},
	{name: "gitea", bitnami: "gitea", stems: []string{"gitea"}, module: module{path: "code.gitea.io/gitea", variable: true}},
	{name: "git-lfs", bitnami: "git-lfs", stems: []string{"git-lfs"}, module: module{path: "github.com/git-lfs/git-lfs"}, rules: says("git-lfs/", `\bgit-lfs/`+three+` \(`)},
	{name: "gitlab-runner", bitnami: "gitlab-runner", stems: []string{"gitlab-runner", "gitlab-runner-helper"}, module: module{path: "gitlab.com/gitlab-org/gitlab-runner", variable: true, vars: `gitlab\.com/gitlab-org/gitlab-runner/common\.VERSION`}},
	{name: "github-cli", stems: []string{"gh"}, module: module{path: "github.com/cli/cli", variable: true, vars: `github\.com/cli/cli(?:/v2)?/internal/build\.Version`}},
	{name: "rclone", bitnami: "rclone", stems: []string{"rclone"}, module: module{path: "github.com/rclone/rclone", variable: true, vars: `github\.com/rclone/rclone/fs\.Version`}},
	{name: "syncthing", bitnami: "syncthing", stems: []string{"syncthing"}, module: module{path: "github.com/syncthing/syncthing", variable: true, vars: `github\.com/syncthing/syncthing/lib/build\.Version`}},
	{name: "cosign", bitnami: "cosign", stems: []string{"cosign"}, module: module{path: "github.com/sigstore/cosign", variable: true, vars: `sigs\.k8s\.io/release-utils/version\.gitVersion`}},
	{name: "oras", bitnami: "oras", stems: []string{"oras"}, module: module{path: "oras.land/oras", variable: true}},
	{name: "oauth2-proxy", bitnami: "oauth2-proxy", stems: []string{"oauth2-proxy"}, module: module{path: "github.com/oauth2-proxy/oauth2-proxy", variable: true, vars: `main\.VERSION`}},
	{name: "hugo", stems: []string{"hugo"}, module: module{path: "github.com/gohugoio/hugo"}},
	{name: "filebeat", stems: []string{"filebeat", "metricbeat", "heartbeat", "auditbeat", "packetbeat"}, module: module{path: "github.com/elastic/beats"}},

	// Containers, in C.
	{name: "crun", stems: []string{"crun"}, rules: says("\x00%s version %s\n", `\x00(1\.\d{1,2}(?:\.\d{1,2}){0,2})\x00%s version %s\n\x00commit: %s\n`)},
}

// javaVersion gives a version without its build: 17.0.3 of 17.0.3+7-jvmci, and
// 8.0.352 of 1.8.0_352-b08, which is how advisories write it since Java 9.
func javaVersion(v string) string {
	if i := strings.IndexAny(v, "+-"); i >= 0 {
		v = v[:i]
	}
	if rest, ok := strings.CutPrefix(v, "1."); ok {
		v = strings.Replace(rest, "_", ".", 1)
	}
	return v
}

// minioVersion gives the day of a release as advisories write it.
func minioVersion(v string) string {
	if len(v) == len("2023-12-20") {
		return strings.ReplaceAll(v, "-", ".")
	}
	return v
}

// libxmlVersion gives 2.9.14 of 20914.
func libxmlVersion(v string) string {
	return v[:1] + "." + strings.TrimPrefix(v[1:3], "0") + "." + cmp.Or(strings.TrimPrefix(v[3:], "0"), "0")
}
