// SPDX-License-Identifier: Apache-2.0

package osrelease

import (
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// A support says how long a release gets security fixes.
type support struct {
	id      string
	release string // as matching shortens VERSION_ID, see EOL
	last    string // day, as the distribution announced it
}

// EOL gives the last day on which the distribution promised security fixes to
// everybody, at midnight UTC; paid extensions do not count. It is false for a
// release whose end is not known here.
func EOL(os *bulwark.OS) (time.Time, bool) {
	if os == nil {
		return time.Time{}, false
	}
	id, release := os.ID, os.Version
	switch id {
	case "debian":
		release = major(release)
	case "alpine":
		if strings.Contains(release, "_") { // the development branch
			return time.Time{}, false
		}
		first, rest, _ := strings.Cut(release, ".")
		release = first + "." + major(rest)
	case "centos":
		release = major(release)
		if strings.Contains(os.Name, "Stream") {
			id = "centos-stream"
		}
	case "almalinux", "rocky", "rhel", "ol", "fedora":
		release = major(release)
	case "amzn":
		// The first Amazon Linux was numbered by year and month.
		if strings.HasPrefix(release, "201") {
			release = "1"
		}
	}
	for _, s := range supports {
		if s.id == id && s.release == release {
			day, err := time.Parse(time.DateOnly, s.last)
			return day, err == nil
		}
	}
	return time.Time{}, false
}

// supports lists ends of support. Facts from the pages named; entries are added,
// and changed when a distribution changes its mind.
var supports = [...]support{
	// https://wiki.debian.org/LTS (long-term support where there was one)
	{"debian", "4", "2010-02-15"},
	{"debian", "5", "2012-02-06"},
	{"debian", "6", "2016-02-29"},
	{"debian", "7", "2018-05-31"},
	{"debian", "8", "2020-06-30"},
	{"debian", "9", "2022-06-30"},
	{"debian", "10", "2024-06-30"},
	{"debian", "11", "2026-08-31"},
	{"debian", "12", "2028-06-30"},
	{"debian", "13", "2030-06-30"},
	// https://wiki.ubuntu.com/Releases (standard support)
	{"ubuntu", "12.04", "2017-04-28"},
	{"ubuntu", "12.10", "2014-05-16"},
	{"ubuntu", "13.04", "2014-01-27"},
	{"ubuntu", "13.10", "2014-07-17"},
	{"ubuntu", "14.04", "2019-04-25"},
	{"ubuntu", "14.10", "2015-07-23"},
	{"ubuntu", "15.04", "2016-02-04"},
	{"ubuntu", "15.10", "2016-07-28"},
	{"ubuntu", "16.04", "2021-04-30"},
	{"ubuntu", "16.10", "2017-07-20"},
	{"ubuntu", "17.04", "2018-01-13"},
	{"ubuntu", "17.10", "2018-07-19"},
	{"ubuntu", "18.04", "2023-05-31"},
	{"ubuntu", "18.10", "2019-07-18"},
	{"ubuntu", "19.04", "2020-01-23"},
	{"ubuntu", "19.10", "2020-07-17"},
	{"ubuntu", "20.04", "2025-05-29"},
	{"ubuntu", "20.10", "2021-07-22"},
	{"ubuntu", "21.04", "2022-01-20"},
	{"ubuntu", "21.10", "2022-07-14"},
	{"ubuntu", "22.04", "2027-06-01"},
	{"ubuntu", "22.10", "2023-07-20"},
	{"ubuntu", "23.04", "2024-01-25"},
	{"ubuntu", "23.10", "2024-07-11"},
	{"ubuntu", "24.04", "2029-05-31"},
	{"ubuntu", "24.10", "2025-07-10"},
	{"ubuntu", "25.04", "2026-01-15"},
	{"ubuntu", "25.10", "2026-07-09"},
	{"ubuntu", "26.04", "2031-05-29"},
	// https://alpinelinux.org/releases/
	{"alpine", "3.0", "2016-05-01"},
	{"alpine", "3.1", "2016-11-01"},
	{"alpine", "3.2", "2017-05-01"},
	{"alpine", "3.3", "2017-11-01"},
	{"alpine", "3.4", "2018-05-01"},
	{"alpine", "3.5", "2018-11-01"},
	{"alpine", "3.6", "2019-05-01"},
	{"alpine", "3.7", "2019-11-01"},
	{"alpine", "3.8", "2020-05-01"},
	{"alpine", "3.9", "2020-11-01"},
	{"alpine", "3.10", "2021-05-01"},
	{"alpine", "3.11", "2021-11-01"},
	{"alpine", "3.12", "2022-05-01"},
	{"alpine", "3.13", "2022-11-01"},
	{"alpine", "3.14", "2023-05-01"},
	{"alpine", "3.15", "2023-11-01"},
	{"alpine", "3.16", "2024-05-23"},
	{"alpine", "3.17", "2024-11-22"},
	{"alpine", "3.18", "2025-05-09"},
	{"alpine", "3.19", "2025-11-01"},
	{"alpine", "3.20", "2026-04-01"},
	{"alpine", "3.21", "2026-11-01"},
	{"alpine", "3.22", "2027-05-01"},
	// https://wiki.almalinux.org/release-notes/
	{"almalinux", "8", "2029-03-01"},
	{"almalinux", "9", "2032-05-31"},
	{"almalinux", "10", "2035-05-31"},
	// https://wiki.rockylinux.org/rocky/version/
	{"rocky", "8", "2029-05-31"},
	{"rocky", "9", "2032-05-31"},
	{"rocky", "10", "2035-05-31"},
	// https://access.redhat.com/support/policy/updates/errata (maintenance support)
	{"rhel", "4", "2012-02-29"},
	{"rhel", "5", "2017-03-31"},
	{"rhel", "6", "2020-11-30"},
	{"rhel", "7", "2024-06-30"},
	{"rhel", "8", "2029-05-31"},
	{"rhel", "9", "2032-05-31"},
	{"rhel", "10", "2035-05-31"},
	// https://www.centos.org/cl-vs-cs/
	{"centos", "5", "2017-03-31"},
	{"centos", "6", "2020-11-30"},
	{"centos", "7", "2024-06-30"},
	{"centos", "8", "2021-12-31"},
	// https://www.centos.org/cl-vs-cs/
	{"centos-stream", "8", "2024-05-31"},
	{"centos-stream", "9", "2027-05-31"},
	// https://docs.fedoraproject.org/en-US/releases/eol/
	{"fedora", "28", "2019-05-28"},
	{"fedora", "29", "2019-11-26"},
	{"fedora", "30", "2020-05-26"},
	{"fedora", "31", "2020-11-24"},
	{"fedora", "32", "2021-05-25"},
	{"fedora", "33", "2021-11-30"},
	{"fedora", "34", "2022-06-07"},
	{"fedora", "35", "2022-12-13"},
	{"fedora", "36", "2023-05-16"},
	{"fedora", "37", "2023-12-05"},
	{"fedora", "38", "2024-05-21"},
	{"fedora", "39", "2024-11-26"},
	{"fedora", "40", "2025-05-13"},
	// https://en.opensuse.org/Lifetime
	{"opensuse-leap", "42.3", "2019-06-30"},
	{"opensuse-leap", "15.0", "2019-12-03"},
	{"opensuse-leap", "15.1", "2021-02-02"},
	{"opensuse-leap", "15.2", "2022-01-04"},
	{"opensuse-leap", "15.3", "2022-12-31"},
	{"opensuse-leap", "15.4", "2023-12-07"},
	{"opensuse-leap", "15.5", "2024-12-31"},
	{"opensuse-leap", "15.6", "2026-04-30"},
	// https://www.suse.com/lifecycle/ (general support)
	{"sles", "12.5", "2024-10-31"},
	{"sles", "15", "2019-12-31"},
	{"sles", "15.1", "2021-01-31"},
	{"sles", "15.2", "2021-12-31"},
	{"sles", "15.3", "2022-12-31"},
	{"sles", "15.4", "2023-12-31"},
	{"sles", "15.5", "2024-12-31"},
	{"sles", "15.6", "2025-12-31"},
	// https://www.oracle.com/a/ocom/docs/elsp-lifetime-069338.pdf
	{"ol", "7", "2024-12-31"},
	{"ol", "8", "2029-07-31"},
	{"ol", "9", "2032-06-30"},
	// https://aws.amazon.com/amazon-linux-2/faqs/
	{"amzn", "1", "2023-12-31"},
	{"amzn", "2", "2026-06-30"},
	// https://blogs.vmware.com/vsphere/2022/01/photon-1-x-end-of-support-announcement.html
	{"photon", "1.0", "2022-02-28"},
	{"photon", "2.0", "2022-12-31"},
	// https://learn.microsoft.com/azure/azure-linux/support-cycle
	{"mariner", "1.0", "2023-07-31"},
	{"mariner", "2.0", "2025-07-31"},
}
