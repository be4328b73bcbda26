// SPDX-License-Identifier: Apache-2.0

// Package subject holds what conditions of policies see: one Go struct for each
// kind of subject, and how a report becomes them. Members are named by their json
// tags, which are the names in a condition and in recorded inputs. To add a kind,
// write its struct and one line in Kinds. The package does not know how conditions
// are written or judged.
package subject

import (
	"reflect"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// A Kind is one kind of subject.
type Kind struct {
	Name   string          // "vulnerability"
	Doc    string          // what one subject of it is
	New    func() any      // a pointer to its struct
	Stages []bulwark.Stage // at which there are such subjects
}

// Kinds lists every kind of subject that something produces, or that people write
// policies for before it runs. A new one is added here.
func Kinds() []Kind {
	const build, registry, admit, run = bulwark.StageBuild, bulwark.StageRegistry, bulwark.StageAdmit, bulwark.StageRun
	rest := []bulwark.Stage{build, registry, admit, run}
	return []Kind{
		{"vulnerability", "a known vulnerability of one package", func() any { return new(Vulnerability) }, rest},
		{"image", "a container image", func() any { return new(ImageSubject) }, rest},
		{"secret", "a key, token or password in a file or in an image's settings", func() any { return new(SecretSubject) }, rest},
		{"malware", "a file that does harm", func() any { return new(MalwareSubject) }, rest},
		{"package.license", "the licences of one package", func() any { return new(LicenseSubject) }, rest},
		{"compliance.check", "one check of a setting, or one recommendation of a benchmark", func() any { return new(CheckSubject) }, rest},
		{"finding", "a finding of any class", func() any { return new(FindingSubject) }, rest},
		{"host", "a machine", func() any { return new(HostSubject) }, []bulwark.Stage{build, run}},
		{"function", "a serverless function", func() any { return new(FunctionSubject) }, []bulwark.Stage{build, registry, run}},
		{"iac.resource", "one resource of infrastructure as code", func() any { return new(ResourceSubject) }, []bulwark.Stage{build}},
		{"k8s.object", "a Kubernetes object, named as ValidatingAdmissionPolicy names it", func() any { return new(ObjectSubject) }, []bulwark.Stage{build, admit, run}},
		{"process", "a program that starts", func() any { return new(ProcessSubject) }, []bulwark.Stage{run}},
		{"connection", "a connection between two workloads", func() any { return new(ConnectionSubject) }, []bulwark.Stage{run}},
	}
}

// ByName gives a kind by its name.
func ByName(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Severities are the constants that severities are compared with: sev.high.
func Severities() map[string]int64 {
	out := map[string]int64{}
	for _, s := range bulwark.Severities() {
		out["sev."+s.String()] = int64(s)
	}
	return out
}

// An Asset is what is judged, or what the subject is a part of. Collections choose
// by it.
type Asset struct {
	ID        string            `json:"id,omitempty" doc:"digest of the artifact"`
	Kind      string            `json:"kind,omitempty" doc:"image, fs, repo, host, function, vm or sbom"`
	Name      string            `json:"name,omitempty" doc:"as it was asked for"`
	Registry  string            `json:"registry,omitempty" doc:"of an image: ghcr.io"`
	Repo      string            `json:"repo,omitempty" doc:"of an image, without the registry: corp/billing/api"`
	Tag       string            `json:"tag,omitempty" doc:"of an image"`
	Digest    string            `json:"digest,omitempty" doc:"of an image's manifest"`
	Host      string            `json:"host,omitempty" doc:"name of the machine"`
	Account   string            `json:"account,omitempty" doc:"cloud account, as somebody named it"`
	Namespace string            `json:"namespace,omitempty" stages:"admit,run" doc:"of Kubernetes"`
	Cluster   string            `json:"cluster,omitempty" stages:"admit,run" doc:"of Kubernetes"`
	Labels    map[string]string `json:"labels,omitempty" doc:"labels of the image, and over them those that were given with --label"`
	Internal  bool              `json:"internal,omitempty" doc:"--label internal=true was given: nothing outside reaches it"`
}

// Image is the name of an image.
type Image struct {
	Ref      string            `json:"ref,omitempty" doc:"the name that was asked for"`
	Registry string            `json:"registry,omitempty" doc:"docker.io where the name says none"`
	Repo     string            `json:"repo,omitempty" doc:"without the registry"`
	Tag      string            `json:"tag,omitempty" doc:"of the name"`
	Digest   string            `json:"digest,omitempty" doc:"of the manifest"`
	Labels   map[string]string `json:"labels,omitempty" doc:"of the image's configuration"`
}

// Package is the package that something was found in.
type Package struct {
	Name      string   `json:"name,omitempty" doc:"as its ecosystem writes it"`
	Version   string   `json:"version,omitempty" doc:"as its ecosystem writes it"`
	Ecosystem string   `json:"ecosystem,omitempty" doc:"of OSV, with the release of a distribution: Debian:12, npm"`
	PURL      string   `json:"purl,omitempty" doc:"package URL"`
	Source    string   `json:"source,omitempty" doc:"source package"`
	Arch      string   `json:"arch,omitempty" doc:"architecture"`
	Vendor    string   `json:"vendor,omitempty" doc:"who built it"`
	Licenses  []string `json:"licenses,omitempty" max:"64" doc:"as declared"`
	Paths     []string `json:"paths,omitempty" max:"1024" doc:"where it was seen"`
	Dev       bool     `json:"dev,omitempty" doc:"declared for development only"`
	Owner     string   `json:"owner,omitempty" doc:"operating-system package that owns its files"`
}

// VEX is what a vendor's statement says, or an accepted risk.
type VEX struct {
	Status        string `json:"status,omitempty" doc:"not_affected, fixed or accepted; empty: nobody says so"`
	NotAffected   bool   `json:"not_affected,omitempty" doc:"somebody says that it is not affected"`
	Fixed         bool   `json:"fixed,omitempty" doc:"somebody says that it is fixed"`
	Justification string `json:"justification,omitempty" doc:"why, as it was written"`
	By            string `json:"by,omitempty" doc:"the document that says so"`
}

// Vuln is a vulnerability of one package.
type Vuln struct {
	ID        string           `json:"id,omitempty" doc:"CVE-2024-3094, GHSA-…, DSA-…"`
	Aliases   []string         `json:"aliases,omitempty" max:"256" doc:"the same flaw under other ids"`
	Severity  bulwark.Severity `json:"severity,omitempty" doc:"sev.unknown to sev.critical"`
	Score     float64          `json:"score,omitempty" doc:"CVSS base score, 0 to 10"`
	CVSS      string           `json:"cvss,omitempty" doc:"vector"`
	EPSS      float64          `json:"epss,omitempty" doc:"probability of exploitation within 30 days, 0 to 1"`
	EPSSRank  float64          `json:"epss_percentile,omitempty" doc:"0 to 1"`
	KEV       bool             `json:"kev,omitempty" doc:"in CISA's list of known exploited vulnerabilities"`
	Due       time.Time        `json:"due,omitzero" doc:"CISA's due date"`
	CWEs      []string         `json:"cwes,omitempty" max:"128" doc:"weaknesses: CWE-79"`
	Published time.Time        `json:"published,omitzero" doc:"when it became public"`
	Modified  time.Time        `json:"modified,omitzero" doc:"when its record last changed"`
	FixDate   time.Time        `json:"fix_date,omitzero" doc:"when the fix came out; few sources say"`
	FirstSeen time.Time        `json:"first_seen,omitzero" stages:"registry,admit,run" doc:"when it was first found in this asset"`
	FixedIn   string           `json:"fixed_in,omitempty" doc:"first fixed version; empty: no fix is known"`
	Pkg       string           `json:"pkg,omitempty" doc:"name of the package"`
	Version   string           `json:"version,omitempty" doc:"of the package"`
	Ecosystem string           `json:"ecosystem,omitempty" doc:"of the package"`
	Reach     string           `json:"reach,omitempty" doc:"linked, not-linked or unknown for compiled programs; empty: not asked"`
	Origin    string           `json:"origin,omitempty" doc:"base or app: whose layer brought it; empty: not known"`
	Known     bool             `json:"known,omitempty" doc:"in the baseline already"`
}

// Vulnerability is the subject "vulnerability".
type Vulnerability struct {
	V     Vuln    `json:"v"`
	Pkg   Package `json:"pkg"`
	Img   Image   `json:"img"`
	VEX   VEX     `json:"vex"`
	Asset Asset   `json:"asset"`
}

// Dates gives when the fix came out, when the vulnerability became public, and
// when it was first seen here; each may be zero.
func (s *Vulnerability) Dates() (fixed, published, seen time.Time) {
	return s.V.FixDate, s.V.Published, s.V.FirstSeen
}

// OS is a distribution.
type OS struct {
	ID      string `json:"id,omitempty" doc:"debian, alpine, rhel"`
	Version string `json:"version,omitempty" doc:"of its os-release"`
	Name    string `json:"name,omitempty" doc:"in words"`
	EOL     bool   `json:"eol,omitempty" doc:"its release gets no security fixes any more"`
}

// Base is the image that another one was built from.
type Base struct {
	Known      bool   `json:"known,omitempty" doc:"something tells what the base image is"`
	Name       string `json:"name,omitempty" doc:"docker.io/library/debian:12; empty: only the layers tell"`
	Digest     string `json:"digest,omitempty" doc:"of its manifest"`
	Confidence string `json:"confidence,omitempty" doc:"certain, likely or guess"`
}

// A Signer is who signed an image.
type Signer struct {
	Issuer string `json:"issuer,omitempty" doc:"of the certificate"`
	SAN    string `json:"san,omitempty" doc:"subject alternative name of the certificate"`
	Key    string `json:"key,omitempty" doc:"id of a key"`
}

// ImageFull is everything that is known of an image.
type ImageFull struct {
	Image
	User        string    `json:"user,omitempty" doc:"that its programs start as; empty: root"`
	Root        bool      `json:"root,omitempty" doc:"its programs start as root"`
	Env         []string  `json:"env,omitempty" doc:"names of environment variables"`
	Entrypoint  []string  `json:"entrypoint,omitempty" max:"256" doc:"command"`
	Cmd         []string  `json:"cmd,omitempty" max:"256" doc:"arguments"`
	Ports       []string  `json:"ports,omitempty" doc:"8080/tcp"`
	Volumes     []string  `json:"volumes,omitempty" doc:"paths"`
	Healthcheck bool      `json:"healthcheck,omitempty" doc:"one is declared"`
	Platform    string    `json:"platform,omitempty" doc:"linux/amd64"`
	Created     time.Time `json:"created,omitzero" doc:"when it says it was built"`
	Layers      []string  `json:"layers,omitempty" max:"512" doc:"diff IDs, oldest first"`
	BaseLayers  []string  `json:"base_layers,omitempty" max:"512" doc:"diff IDs of its base image's layers, oldest first"`
	Size        int64     `json:"size,omitempty" doc:"bytes of its layers, not compressed"`
	Packages    int       `json:"packages,omitempty" doc:"how many it has"`
	OS          OS        `json:"os"`
	Base        Base      `json:"base"`
	Signers     []Signer  `json:"signers,omitempty" max:"64" doc:"whose signatures were verified"`
}

// ImageSubject is the subject "image".
type ImageSubject struct {
	Img   ImageFull `json:"img"`
	Asset Asset     `json:"asset"`
}

// Secret is one secret at one place.
type Secret struct {
	Rule     string           `json:"rule,omitempty" doc:"secret/aws-access-token"`
	Title    string           `json:"title,omitempty" doc:"in words"`
	Severity bulwark.Severity `json:"severity,omitempty" doc:"sev.unknown to sev.critical"`
	Path     string           `json:"path,omitempty" doc:"first file that holds it; empty: a setting"`
	Line     int              `json:"line,omitempty" doc:"in that file, from 1"`
	Deleted  bool             `json:"deleted,omitempty" doc:"a later layer deletes the file; everybody can still read it"`
	Origin   string           `json:"origin,omitempty" doc:"base or app"`
	Known    bool             `json:"known,omitempty" doc:"in the baseline already"`
}

// SecretSubject is the subject "secret".
type SecretSubject struct {
	S     Secret `json:"s"`
	Img   Image  `json:"img"`
	VEX   VEX    `json:"vex"`
	Asset Asset  `json:"asset"`
}

// Malware is one file that does harm.
type Malware struct {
	Rule     string           `json:"rule,omitempty" doc:"malware/…"`
	Title    string           `json:"title,omitempty" doc:"in words"`
	Severity bulwark.Severity `json:"severity,omitempty" doc:"sev.unknown to sev.critical"`
	Path     string           `json:"path,omitempty" doc:"the file"`
	Deleted  bool             `json:"deleted,omitempty" doc:"a later layer deletes it"`
	Origin   string           `json:"origin,omitempty" doc:"base or app"`
	Known    bool             `json:"known,omitempty" doc:"in the baseline already"`
}

// MalwareSubject is the subject "malware".
type MalwareSubject struct {
	M     Malware `json:"m"`
	Img   Image   `json:"img"`
	VEX   VEX     `json:"vex"`
	Asset Asset   `json:"asset"`
}

// License is what a package may be used under.
type License struct {
	Expression  string   `json:"expression,omitempty" doc:"as declared, or concluded from a text"`
	IDs         []string `json:"ids,omitempty" max:"128" doc:"every licence in it"`
	Unavoidable []string `json:"unavoidable,omitempty" max:"128" doc:"those that every choice which it offers holds"`
	Concluded   bool     `json:"concluded,omitempty" doc:"read from a text, not declared"`
}

// LicenseSubject is the subject "package.license".
type LicenseSubject struct {
	License License `json:"license"`
	Pkg     Package `json:"pkg"`
	Img     Image   `json:"img"`
	VEX     VEX     `json:"vex"`
	Asset   Asset   `json:"asset"`
}

// Check is one check of a setting.
type Check struct {
	ID       string           `json:"id,omitempty" doc:"BW-IMG-0001, or CIS Docker 4.1"`
	Title    string           `json:"title,omitempty" doc:"in words"`
	Class    string           `json:"class,omitempty" doc:"misconfiguration or compliance"`
	State    string           `json:"state,omitempty" doc:"pass, fail or undecided"`
	Severity bulwark.Severity `json:"severity,omitempty" doc:"sev.unknown to sev.critical"`
	Subject  string           `json:"subject,omitempty" doc:"what it is about: a path, or the artifact"`
	Path     string           `json:"path,omitempty" doc:"file that decides it"`
	Line     int              `json:"line,omitempty" doc:"in that file, from 1"`
	Controls []string         `json:"controls,omitempty" max:"256" doc:"CIS Docker 4.1"`
	Origin   string           `json:"origin,omitempty" doc:"base or app"`
	Known    bool             `json:"known,omitempty" doc:"in the baseline already"`
}

// CheckSubject is the subject "compliance.check".
type CheckSubject struct {
	C     Check `json:"c"`
	Img   Image `json:"img"`
	VEX   VEX   `json:"vex"`
	Asset Asset `json:"asset"`
}

// Finding is a finding of any class.
type Finding struct {
	ID       string           `json:"id,omitempty" doc:"16 hexadecimal digits"`
	Class    string           `json:"class,omitempty" doc:"vulnerability, secret, malware, misconfiguration, compliance, license …"`
	Rule     string           `json:"rule,omitempty" doc:"CVE-2024-3094, secret/private-key, BW-IMG-0001"`
	Title    string           `json:"title,omitempty" doc:"of the rule"`
	Severity bulwark.Severity `json:"severity,omitempty" doc:"sev.unknown to sev.critical"`
	Subject  string           `json:"subject,omitempty" doc:"package URL, path, or digest"`
	Fix      string           `json:"fix,omitempty" doc:"first fixed version, or what to change"`
	Path     string           `json:"path,omitempty" doc:"first place"`
	Line     int              `json:"line,omitempty" doc:"there, from 1"`
	Origin   string           `json:"origin,omitempty" doc:"base or app"`
	Reach    string           `json:"reach,omitempty" doc:"linked, not-linked or unknown"`
	Known    bool             `json:"known,omitempty" doc:"in the baseline already"`
}

// FindingSubject is the subject "finding".
type FindingSubject struct {
	F     Finding `json:"f"`
	Img   Image   `json:"img"`
	VEX   VEX     `json:"vex"`
	Asset Asset   `json:"asset"`
}

// Host is a machine.
type Host struct {
	Name     string `json:"name,omitempty" doc:"of the machine"`
	Packages int    `json:"packages,omitempty" doc:"how many it has"`
	OS       OS     `json:"os"`
}

// HostSubject is the subject "host".
type HostSubject struct {
	H     Host  `json:"h"`
	Asset Asset `json:"asset"`
}

// Role is what a function may do.
type Role struct {
	Name    string   `json:"name,omitempty" doc:"of the role"`
	Actions []string `json:"actions,omitempty" doc:"that it allows: s3:GetObject, *"`
}

// Function is a serverless function.
type Function struct {
	Name      string   `json:"name,omitempty" doc:"as its template calls it"`
	Provider  string   `json:"provider,omitempty" doc:"aws, azure or gcp"`
	Runtime   string   `json:"runtime,omitempty" doc:"as the provider writes it: nodejs20.x"`
	Handler   string   `json:"handler,omitempty" doc:"index.handler"`
	Framework string   `json:"framework,omitempty" doc:"sam, serverless, functions-framework"`
	Triggers  []string `json:"triggers,omitempty" max:"256" doc:"what calls it"`
	Env       []string `json:"env,omitempty" doc:"names of environment variables"`
	Path      string   `json:"path,omitempty" doc:"file that says so"`
	EOL       bool     `json:"eol,omitempty" doc:"its runtime is no longer mended"`
	Role      Role     `json:"role"`
}

// FunctionSubject is the subject "function".
type FunctionSubject struct {
	Fn    Function `json:"fn"`
	Asset Asset    `json:"asset"`
}

// Resource is one resource of infrastructure as code.
type Resource struct {
	Address  string `json:"address,omitempty" doc:"module.web.aws_s3_bucket.logs"`
	Type     string `json:"type,omitempty" doc:"aws_s3_bucket"`
	Name     string `json:"name,omitempty" doc:"logs"`
	Provider string `json:"provider,omitempty" doc:"aws"`
	Path     string `json:"path,omitempty" doc:"file that declares it"`
	Line     int    `json:"line,omitempty" doc:"there, from 1"`
}

// ResourceSubject is the subject "iac.resource".
type ResourceSubject struct {
	Res   Resource       `json:"res"`
	Attr  map[string]any `json:"attr,omitempty" doc:"attributes; one that is not known before it is made is missing, and asking for it is unknown"`
	Asset Asset          `json:"asset"`
}

// Type gives what the scope's resourceTypes choose by.
func (s *ResourceSubject) Type() string { return s.Res.Type }

// ObjectSubject is the subject "k8s.object".
type ObjectSubject struct {
	Object    any            `json:"object,omitempty" doc:"the object"`
	OldObject any            `json:"oldObject,omitempty" stages:"admit" doc:"as it was before"`
	Request   map[string]any `json:"request,omitempty" stages:"admit" doc:"operation, userInfo, namespace …"`
	Namespace any            `json:"namespaceObject,omitempty" stages:"admit,run" doc:"the namespace"`
	Cluster   string         `json:"cluster,omitempty" stages:"admit,run" doc:"name of the cluster"`
	Asset     Asset          `json:"asset"`
}

// Type gives what the scope's kinds choose by.
func (s *ObjectSubject) Type() string {
	if o, ok := s.Object.(map[string]any); ok {
		k, _ := o["kind"].(string)
		return k
	}
	return ""
}

// Process is a program that starts.
type Process struct {
	Name       string   `json:"name,omitempty" doc:"as it was called"`
	Path       string   `json:"path,omitempty" doc:"of the file"`
	Args       []string `json:"args,omitempty" max:"1024" doc:"with the name"`
	Cwd        string   `json:"cwd,omitempty" doc:"working directory"`
	Parent     string   `json:"parent,omitempty" doc:"name of what started it"`
	ParentPath string   `json:"parent_path,omitempty" doc:"of what started it"`
	Ancestors  []string `json:"ancestors,omitempty" max:"64" doc:"names, the parent first"`
	UID        int      `json:"uid,omitempty" doc:"effective user"`
	GID        int      `json:"gid,omitempty" doc:"effective group"`
	TTY        bool     `json:"tty,omitempty" doc:"it has a terminal"`
	Socket     bool     `json:"stdio_socket,omitempty" doc:"its standard input or output is a connection"`
	NewFile    bool     `json:"new_file,omitempty" doc:"the file is not from the image"`
}

// Container is what a process runs in.
type Container struct {
	ID         string `json:"id,omitempty" doc:"of the engine"`
	Name       string `json:"name,omitempty" doc:"of the container"`
	Image      string `json:"image,omitempty" doc:"name of its image"`
	Digest     string `json:"digest,omitempty" doc:"of its image"`
	Privileged bool   `json:"privileged,omitempty" doc:"it has every right of the machine"`
}

// ProcessSubject is the subject "process".
type ProcessSubject struct {
	Proc  Process   `json:"proc"`
	Ctr   Container `json:"ctr"`
	Asset Asset     `json:"asset"`
}

// Endpoint is one end of a connection.
type Endpoint struct {
	App       string            `json:"app,omitempty" doc:"name of the workload"`
	IP        string            `json:"ip,omitempty" doc:"address"`
	DNS       string            `json:"dns,omitempty" doc:"name that was asked for"`
	Namespace string            `json:"namespace,omitempty" doc:"of Kubernetes"`
	Identity  string            `json:"identity,omitempty" doc:"service account or SPIFFE id"`
	Labels    map[string]string `json:"labels,omitempty" doc:"of the workload"`
}

// Conn is what passes between two endpoints.
type Conn struct {
	Port      int    `json:"port,omitempty" doc:"of the destination"`
	Protocol  string `json:"protocol,omitempty" doc:"tcp, udp or sctp"`
	Direction string `json:"direction,omitempty" doc:"in or out, seen from where it is judged"`
}

// ConnectionSubject is the subject "connection".
type ConnectionSubject struct {
	Src   Endpoint `json:"src"`
	Dst   Endpoint `json:"dst"`
	Conn  Conn     `json:"conn"`
	Asset Asset    `json:"asset"`
}

// Rated gives the severity that a grace depends on.
func (s *Vulnerability) Rated() bulwark.Severity { return s.V.Severity }

// AssetIn gives the asset of a subject, a pointer to the struct of its kind; one
// without is the zero Asset.
func AssetIn(subject any) *Asset {
	if v := reflect.ValueOf(subject); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if f := v.Elem().FieldByName("Asset"); f.IsValid() && f.Type() == reflect.TypeFor[Asset]() {
			return f.Addr().Interface().(*Asset)
		}
	}
	return new(Asset)
}
