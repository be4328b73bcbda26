// SPDX-License-Identifier: Apache-2.0

package sarif

// The part of SARIF 2.1.0 that is written, named as in
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.

type message struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type driver struct {
	Name            string `json:"name"`
	Version         string `json:"version,omitempty"`
	SemanticVersion string `json:"semanticVersion,omitempty"`
	InformationURI  string `json:"informationUri"`
}

type rule struct {
	ID               string         `json:"id"`
	Name             string         `json:"name,omitempty"`
	ShortDescription message        `json:"shortDescription"`
	FullDescription  message        `json:"fullDescription"`
	Help             *message       `json:"help,omitempty"`
	HelpURI          string         `json:"helpUri,omitempty"`
	Configuration    *configuration `json:"defaultConfiguration,omitempty"`
	Properties       ruleProperties `json:"properties"`
}

type configuration struct {
	Level string `json:"level"`
}

type ruleProperties struct {
	Tags             []string `json:"tags"`
	Precision        string   `json:"precision"`
	SecuritySeverity string   `json:"security-severity,omitempty"`
	Aliases          []string `json:"aliases,omitempty"`
	CVSS             string   `json:"cvss,omitempty"`
	EPSS             float64  `json:"epss,omitempty"`
	Exploited        bool     `json:"knownExploited,omitempty"`
	Controls         []string `json:"controls,omitempty"`
}

type result struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      message           `json:"message"`
	Locations    []location        `json:"locations"`
	Related      []location        `json:"relatedLocations,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Suppressions []suppression     `json:"suppressions"` // empty: known to be not suppressed
	Properties   resultProperties  `json:"properties"`
}

type resultProperties struct {
	Class     string `json:"class"`
	Severity  string `json:"severity"`
	Subject   string `json:"subject"`
	Package   string `json:"package,omitempty"`
	Installed string `json:"installedVersion,omitempty"`
	Fixed     string `json:"fix,omitempty"`
	State     string `json:"state,omitempty"`
	Evidence  int    `json:"evidenceLeftOut,omitempty"`
}

type suppression struct {
	Kind          string                 `json:"kind"`
	Status        string                 `json:"status"`
	Justification string                 `json:"justification,omitempty"`
	Properties    *suppressionProperties `json:"properties,omitempty"`
}

type suppressionProperties struct {
	State string `json:"state"`
	By    string `json:"by,omitempty"`
	Owner string `json:"owner,omitempty"`
	Until string `json:"until,omitempty"`
}

type location struct {
	ID       *int             `json:"id,omitempty"`
	Physical physicalLocation `json:"physicalLocation"`
	Logical  []logical        `json:"logicalLocations,omitempty"`
	Message  *message         `json:"message,omitempty"`
}

type physicalLocation struct {
	Artifact artifactLocation `json:"artifactLocation"`
	Region   *region          `json:"region,omitempty"`
}

type artifactLocation struct {
	URI       string `json:"uri"`
	URIBaseID string `json:"uriBaseId,omitempty"`
}

type region struct {
	StartLine int `json:"startLine"`
}

type logical struct {
	Name               string `json:"name,omitempty"`
	FullyQualifiedName string `json:"fullyQualifiedName,omitempty"`
	Kind               string `json:"kind,omitempty"`
}

type invocation struct {
	Successful    bool           `json:"executionSuccessful"`
	EndTime       string         `json:"endTimeUtc,omitempty"`
	Notifications []notification `json:"toolExecutionNotifications"`
}

type notification struct {
	Descriptor descriptor `json:"descriptor"`
	Level      string     `json:"level"`
	Message    message    `json:"message"`
	Locations  []location `json:"locations,omitempty"`
}

type descriptor struct {
	ID    string `json:"id"`
	Index int    `json:"index"`
}

type notificationRule struct {
	ID               string  `json:"id"`
	ShortDescription message `json:"shortDescription"`
}
