// SPDX-License-Identifier: Apache-2.0

//go:build unix

package gitlog

import "syscall"

// nonblock keeps the opening of a pipe from waiting for its other end.
const nonblock = syscall.O_NONBLOCK
