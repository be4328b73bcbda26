// SPDX-License-Identifier: Apache-2.0

package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// allowed is what the Go runtime and reads and writes of inherited descriptors
// need on this architecture beside the common calls.
var allowed = append([]int{
	unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS_ARCH_PRCTL, unix.SYS_GETRLIMIT,
}, common...)
