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

// supports lists ends of support. Facts from the pages named; the rows were compared
// with them, or with what others read there, on 2026-11-22. The month behind a page
// says how old the newest reading was. Entries are added, and changed when a
// distribution changes its mind.
var supports = [...]support{
	// https://wiki.debian.org/LTS (long-term support where there was one), 2026-04
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
	// https://wiki.ubuntu.com/Releases (standard support, of servers where it was longer), 2026-04
	{"ubuntu", "6.06", "2011-06-01"},
	{"ubuntu", "8.04", "2013-05-09"},
	{"ubuntu", "8.10", "2010-04-30"},
	{"ubuntu", "9.04", "2010-10-23"},
	{"ubuntu", "9.10", "2011-04-30"},
	{"ubuntu", "10.04", "2015-04-30"},
	{"ubuntu", "10.10", "2012-04-10"},
	{"ubuntu", "11.04", "2012-10-28"},
	{"ubuntu", "11.10", "2013-05-09"},
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
	{"ubuntu", "26.10", "2027-07-15"},
	// https://alpinelinux.org/releases/, 2026-09
	{"alpine", "2.1", "2012-11-01"},
	{"alpine", "2.2", "2013-05-01"},
	{"alpine", "2.3", "2013-11-01"},
	{"alpine", "2.4", "2014-05-01"},
	{"alpine", "2.5", "2014-11-01"},
	{"alpine", "2.6", "2015-05-01"},
	{"alpine", "2.7", "2015-11-01"},
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
	{"alpine", "3.23", "2027-11-01"},
	{"alpine", "3.24", "2028-06-01"},
	// https://wiki.almalinux.org/release-notes/, 2025-02 (10: as the release it is built from)
	{"almalinux", "8", "2029-03-01"},
	{"almalinux", "9", "2032-05-31"},
	{"almalinux", "10", "2035-05-31"},
	// https://wiki.rockylinux.org/rocky/version/, 2025-06
	{"rocky", "8", "2029-05-31"},
	{"rocky", "9", "2032-05-31"},
	{"rocky", "10", "2035-05-31"},
	// https://access.redhat.com/support/policy/updates/errata (maintenance support), 2025-02 (10: ten years from its release)
	{"rhel", "4", "2012-02-29"},
	{"rhel", "5", "2017-03-31"},
	{"rhel", "6", "2020-11-30"},
	{"rhel", "7", "2024-06-30"},
	{"rhel", "8", "2029-05-31"},
	{"rhel", "9", "2032-05-31"},
	{"rhel", "10", "2035-05-31"},
	// https://www.centos.org/cl-vs-cs/, 2024-12
	{"centos", "3", "2010-10-31"},
	{"centos", "4", "2012-02-29"},
	{"centos", "5", "2017-03-31"},
	{"centos", "6", "2020-11-30"},
	{"centos", "7", "2024-06-30"},
	{"centos", "8", "2021-12-31"},
	// https://www.centos.org/cl-vs-cs/, 2024-12
	{"centos-stream", "8", "2024-05-31"},
	{"centos-stream", "9", "2027-05-31"},
	{"centos-stream", "10", "2030-01-01"},
	// https://docs.fedoraproject.org/en-US/releases/eol/ and https://fedorapeople.org/groups/schedule/, 2026-04
	{"fedora", "20", "2015-06-23"},
	{"fedora", "21", "2015-12-01"},
	{"fedora", "22", "2016-07-19"},
	{"fedora", "23", "2016-12-20"},
	{"fedora", "24", "2017-08-08"},
	{"fedora", "25", "2017-12-12"},
	{"fedora", "26", "2018-05-29"},
	{"fedora", "27", "2018-11-30"},
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
	{"fedora", "41", "2025-12-15"},
	{"fedora", "42", "2026-05-27"},
	{"fedora", "43", "2026-12-09"},
	{"fedora", "44", "2027-06-02"},
	// https://en.opensuse.org/Lifetime, 2026-04 (15.2 and 15.3: only their planned ends were found, weeks earlier)
	{"opensuse-leap", "42.1", "2017-05-17"},
	{"opensuse-leap", "42.2", "2018-01-26"},
	{"opensuse-leap", "42.3", "2019-07-01"},
	{"opensuse-leap", "15.0", "2019-12-03"},
	{"opensuse-leap", "15.1", "2021-02-02"},
	{"opensuse-leap", "15.2", "2022-01-04"},
	{"opensuse-leap", "15.3", "2022-12-31"},
	{"opensuse-leap", "15.4", "2023-12-07"},
	{"opensuse-leap", "15.5", "2024-12-31"},
	{"opensuse-leap", "15.6", "2026-04-30"},
	{"opensuse-leap", "16.0", "2027-10-31"},
	// https://www.suse.com/lifecycle/ (general support), 2023-06
	{"sles", "11", "2010-12-31"},
	{"sles", "11.1", "2012-08-31"},
	{"sles", "11.2", "2014-01-31"},
	{"sles", "11.3", "2016-01-31"},
	{"sles", "11.4", "2019-03-31"},
	{"sles", "12", "2016-06-30"},
	{"sles", "12.1", "2017-05-31"},
	{"sles", "12.2", "2018-03-31"},
	{"sles", "12.4", "2020-06-30"},
	{"sles", "12.5", "2024-10-31"},
	{"sles", "15", "2019-12-31"},
	{"sles", "15.1", "2021-01-31"},
	{"sles", "15.2", "2021-12-31"},
	{"sles", "15.3", "2022-12-31"},
	{"sles", "15.4", "2023-12-31"},
	{"sles", "15.5", "2024-12-31"},
	{"sles", "15.6", "2025-12-31"},
	// https://www.oracle.com/a/ocom/docs/elsp-lifetime-069338.pdf (premier support), 2025-02
	{"ol", "6", "2021-03-31"},
	{"ol", "7", "2024-12-31"},
	{"ol", "8", "2029-07-31"},
	{"ol", "9", "2032-06-30"},
	// https://aws.amazon.com/amazon-linux-2/faqs/ and https://aws.amazon.com/linux/amazon-linux-2023/faqs/, 2026-04
	{"amzn", "1", "2023-12-31"},
	{"amzn", "2", "2026-06-30"},
	{"amzn", "2023", "2029-06-30"},
	// https://blogs.vmware.com/vsphere/2022/01/photon-1-x-end-of-support-announcement.html, 2022-01
	{"photon", "1.0", "2022-02-28"},
	{"photon", "2.0", "2022-12-31"},
	// https://learn.microsoft.com/azure/azure-linux/release-cadence-lifecycle, 2026-07
	{"mariner", "1.0", "2023-08-31"},
	{"mariner", "2.0", "2025-07-31"},
	{"azurelinux", "3.0", "2027-08-31"},
}
