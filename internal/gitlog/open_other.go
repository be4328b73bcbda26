// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package gitlog

const nonblock = 0
