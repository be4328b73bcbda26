// SPDX-License-Identifier: Apache-2.0

package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// allowed is what the Go runtime and reads and writes of inherited descriptors
// need on this architecture: nothing beside the common calls.
var allowed = common
