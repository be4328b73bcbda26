// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bytes"
	"strings"
)

// maxManifest bounds the part of a manifest that is read, bytes. Signed archives
// have manifests of megabytes, but the main section comes first.
const maxManifest = 64 << 10

// parseManifest reads the main section
// (https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html#jar-manifest).
// Names are in lower case.
func parseManifest(b []byte) map[string]string {
	m := map[string]string{}
	name := ""
	for line := range bytes.Lines(b) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' { // continues the line before
			if v := m[name]; name != "" && len(v) < 4*maxName {
				m[name] = v + string(line[1:])
			}
			continue
		}
		k, v, ok := bytes.Cut(line, []byte(":"))
		if name = ""; !ok {
			continue
		}
		switch k := strings.ToLower(string(k)); k {
		case "implementation-title", "implementation-version", "implementation-vendor-id", "bundle-symbolicname",
			"bundle-version", "bundle-license", "automatic-module-name", "group-id", "short-name", "plugin-version":
			name = k
			m[k] = strings.TrimPrefix(string(v), " ")
		}
	}
	for k, v := range m {
		m[k] = strings.TrimSpace(v)
	}
	return m
}

// parseProperties reads pom.properties.
func parseProperties(b []byte) gav {
	var g gav
	for line := range bytes.Lines(b) {
		k, v, ok := strings.Cut(strings.TrimSpace(string(line[:min(len(line), 4*maxName)])), "=")
		if !ok {
			continue
		}
		v = strings.TrimSpace(v)
		switch strings.TrimSpace(k) {
		case "groupId":
			g.group = v
		case "artifactId":
			g.artifact = v
		case "version":
			g.version = v
		}
	}
	return g
}

// bundleLicenses gives what an OSGi manifest says: names or URLs with attributes.
func bundleLicenses(m map[string]string) []string {
	var out []string
	for l := range strings.SplitSeq(m["bundle-license"], ",") {
		l, _, _ = strings.Cut(l, ";")
		if l = strings.Trim(l, "\" "); l != "" && l != "<<EXTERNAL>>" && len(out) < 8 {
			out = append(out, l)
		}
	}
	return out
}

// fromManifest guesses the coordinate of an archive from its file name and its
// manifest. Sure tells that the group comes from the manifest or the table and
// the version from somewhere.
func fromManifest(file string, m map[string]string) (g gav, sure bool) {
	if strings.Contains(m["implementation-title"], "Java Runtime Environment") {
		return gav{}, false // a part of the JRE, which is no Maven artifact
	}
	stem := file
	if i := strings.LastIndexByte(stem, '.'); i > 0 {
		stem = stem[:i]
	}
	g.artifact, g.version = splitFile(stem)
	symbolic, _, _ := strings.Cut(m["bundle-symbolicname"], ";")
	symbolic = strings.TrimSpace(symbolic)
	if g.version == "" {
		for _, k := range []string{"implementation-version", "plugin-version", "bundle-version"} {
			// Some write more than the version: "9.0.1 (build 5)".
			if v, _, _ := strings.Cut(m[k], " "); version(v) {
				g.version = v
				break
			}
		}
		if short := m["short-name"]; identifier(short) && m["plugin-version"] != "" {
			g.artifact = short // a Jenkins plugin
		}
	}
	if g.version == "" || !identifier(g.artifact) {
		return gav{}, false
	}
	if vendor := m["group-id"]; reverse(vendor) {
		g.group = vendor
		return g, true
	}
	if known := wellKnown(g.artifact); known != "" {
		g.group = known
		return g, true
	}
	for _, s := range []string{symbolic, m["automatic-module-name"]} {
		if group := groupOf(s, g.artifact); group != "" {
			g.group = group
			return g, true
		}
	}
	if vendor := m["implementation-vendor-id"]; reverse(vendor) {
		g.group = vendor
		return g, true
	}
	// Many old artifacts have their own name as group: commons-io:commons-io.
	g.group = g.artifact
	return g, false
}

// reverse tells whether s looks like a domain in reverse.
func reverse(s string) bool {
	first, rest, ok := strings.Cut(s, ".")
	return ok && rest != "" && len(first) >= 2 && len(first) <= 6 && strings.ToLower(first) == first && identifier(s)
}

// groupOf takes the group from a module's name, which most builders make of
// group and artifact: "com.fasterxml.jackson.core.jackson-databind", or
// "org.apache.commons.lang3" for commons-lang3.
func groupOf(module, artifact string) string {
	if !reverse(module) {
		return ""
	}
	if group, ok := strings.CutSuffix(module, "."+artifact); ok && reverse(group) {
		return group
	}
	i := strings.LastIndexByte(module, '.')
	if last := module[i+1:]; strings.HasSuffix(artifact, last) && reverse(module[:i]) {
		return module[:i]
	}
	return module
}

// splitFile cuts "name-1.2.3-qualifier" into name and version. Without a
// version in it, all is the name.
func splitFile(stem string) (name, ver string) {
	last := -1
	for i := 1; i+1 < len(stem); i++ {
		if stem[i] != '-' || stem[i+1] < '0' || stem[i+1] > '9' {
			continue
		}
		first, rest, _ := strings.Cut(stem[i+1:], "-")
		if !number(first) {
			continue
		}
		if last = i; qualified(rest) {
			return stem[:i], stem[i+1:]
		}
	}
	if last < 0 {
		return stem, ""
	}
	// What follows is a classifier, such as linux-x86_64.
	ver, _, _ = strings.Cut(stem[last+1:], "-")
	return stem[:last], ver
}

// number tells whether the first part of a version is one: 3, 1.2 and 4.1.Final
// are, 2d and 3.x are not.
func number(s string) bool {
	first, rest, dotted := strings.Cut(s, ".")
	if strings.Trim(first, "0123456789") != "" || !version(s) {
		return false
	}
	return !dotted || rest != "x" && !strings.HasSuffix(rest, ".x")
}

// qualified tells whether what follows a version belongs to it.
func qualified(rest string) bool {
	if rest == "" {
		return true
	}
	for part := range strings.SplitSeq(rest, "-") {
		p := strings.ToLower(part)
		word := strings.TrimRight(p, "0123456789.")
		switch {
		case word == "": // a number or a timestamp
		case len(p) >= 7 && strings.Trim(p, "0123456789abcdef") == "": // a commit
		case p[0] >= '0' && p[0] <= '9' && version(part):
		default:
			switch word {
			case "snapshot", "final", "ga", "release", "alpha", "beta", "a", "b", "rc", "cr", "m", "sp", "pre", "preview", "ea",
				"milestone", "incubating", "jre", "android", "jdk", "redhat", "jbossorg", "build", "hotfix", "patch", "p", "v", "dev", "nightly":
			default:
				return false
			}
		}
	}
	return true
}

// wellKnown gives the group of artifacts that are widely used without Maven's
// files in them, or whose manifests say something else. The artifact's name is
// unique in practice.
func wellKnown(artifact string) string {
	switch artifact {
	case "spring-aop", "spring-aspects", "spring-beans", "spring-context", "spring-context-support", "spring-core",
		"spring-expression", "spring-instrument", "spring-jcl", "spring-jdbc", "spring-jms", "spring-messaging", "spring-orm",
		"spring-oxm", "spring-test", "spring-tx", "spring-web", "spring-webflux", "spring-webmvc", "spring-websocket":
		return "org.springframework"
	case "spring-security-core", "spring-security-web", "spring-security-config", "spring-security-crypto", "spring-security-oauth2-client":
		return "org.springframework.security"
	case "spring-boot", "spring-boot-autoconfigure", "spring-boot-actuator", "spring-boot-starter-web", "spring-boot-loader":
		return "org.springframework.boot"
	case "spring-data-commons", "spring-data-jpa", "spring-data-mongodb", "spring-data-redis", "spring-data-rest-webmvc":
		return "org.springframework.data"
	case "spring-cloud-function-context", "spring-cloud-config-server", "spring-cloud-gateway-server":
		return "org.springframework.cloud"
	case "guava":
		return "com.google.guava"
	case "gson":
		return "com.google.code.gson"
	case "protobuf-java", "protobuf-java-util":
		return "com.google.protobuf"
	case "hibernate-core", "hibernate-entitymanager":
		return "org.hibernate"
	case "hibernate-validator":
		return "org.hibernate.validator"
	case "logback-classic", "logback-core":
		return "ch.qos.logback"
	case "slf4j-api", "slf4j-simple", "jcl-over-slf4j", "jul-to-slf4j", "log4j-over-slf4j":
		return "org.slf4j"
	case "log4j-api", "log4j-core", "log4j-web", "log4j-1.2-api", "log4j-slf4j-impl", "log4j-slf4j2-impl":
		return "org.apache.logging.log4j"
	case "okhttp":
		return "com.squareup.okhttp3"
	case "okio", "okio-jvm":
		return "com.squareup.okio"
	case "h2":
		return "com.h2database"
	case "postgresql":
		return "org.postgresql"
	case "mysql-connector-java":
		return "mysql"
	case "mysql-connector-j":
		return "com.mysql"
	case "xstream":
		return "com.thoughtworks.xstream"
	case "kotlin-stdlib", "kotlin-stdlib-jdk7", "kotlin-stdlib-jdk8", "kotlin-stdlib-common", "kotlin-reflect":
		return "org.jetbrains.kotlin"
	case "scala-library", "scala-reflect", "scala-compiler":
		return "org.scala-lang"
	case "groovy", "groovy-all":
		return "org.codehaus.groovy"
	case "struts2-core":
		return "org.apache.struts"
	case "shiro-core", "shiro-web":
		return "org.apache.shiro"
	case "axis":
		return "axis"
	case "tomcat-embed-core", "tomcat-embed-el", "tomcat-embed-websocket":
		return "org.apache.tomcat.embed"
	case "snakeyaml":
		return "org.yaml"
	case "bcprov-jdk15on", "bcpkix-jdk15on", "bcprov-jdk18on", "bcpkix-jdk18on", "bcprov-ext-jdk15on":
		return "org.bouncycastle"
	}
	return ""
}
