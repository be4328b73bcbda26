// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// explain turns what went wrong with a registry into an error that says what to
// do.
func (rg *registry) explain(err error) error {
	host := rg.host()
	hint := func(next string) error {
		return &bulwark.Hint{Err: fmt.Errorf("registry %q: %w", host, inner(err)), Next: next}
	}
	var (
		unknownCA x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
		noHost    *net.DNSError
		said      *bulwark.Hint
		status    *transport.Error
	)
	switch {
	case errors.As(err, &unknownCA):
		return hint("pass --ca-file with the authority's certificate, or add it to the system's")
	case errors.As(err, &wrongName):
		return hint("use the name that the registry's certificate is for")
	case errors.As(err, &invalid):
		return hint("check the clock of this machine and the registry's certificate")
	case errors.As(err, &status):
		// Judged after the certificate: on this machine plain HTTP is tried too, and
		// its answer says nothing when TLS was meant.
		return rg.explainStatus(status)
	case errors.As(err, &said):
		// The advice is deep inside what the HTTP client wrapped around it.
		return &bulwark.Hint{Err: fmt.Errorf("registry %q: %w", host, said.Err), Next: said.Next}
	case errors.As(err, &noTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return hint("pass --plain-http if the registry has no TLS")
	case errors.As(err, &noHost):
		return hint("check the spelling of the registry's name, and the network")
	case errors.Is(err, syscall.ECONNREFUSED):
		return hint("check that the registry runs and that the port is right")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return hint("check the network; what is on this machine can be scanned with --offline")
	}
	return fmt.Errorf("registry %q: %w", host, inner(err))
}

// inner takes the request's address out of an error of the HTTP client: it may
// carry a signature in its query.
func inner(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

func (rg *registry) explainStatus(te *transport.Error) error {
	host := rg.host()
	said := ""
	if len(te.Errors) > 0 {
		said = fmt.Sprintf(": %s %.200q", te.Errors[0].Code, te.Errors[0].Message)
	}
	err := fmt.Errorf("registry %q: status %d%s", host, te.StatusCode, said)
	has := func(codes ...transport.ErrorCode) bool {
		for _, d := range te.Errors {
			for _, c := range codes {
				if d.Code == c {
					return true
				}
			}
		}
		return false
	}
	switch {
	case te.StatusCode == http.StatusUnauthorized, te.StatusCode == http.StatusForbidden,
		has(transport.UnauthorizedErrorCode, transport.DeniedErrorCode):
		if rg.keyFail != nil {
			return &bulwark.Hint{
				Err:  fmt.Errorf("%w; credentials: %w", err, rg.keyFail),
				Next: "repair the credential helper in Docker's config.json",
			}
		}
		return &bulwark.Hint{
			Err:  err,
			Next: fmt.Sprintf("check the spelling of %q; if it is private, run docker login %s or podman login %[2]s", rg.repo.RepositoryStr(), host),
		}
	case te.StatusCode == http.StatusNotFound:
		return fmt.Errorf("registry %q: status 404%s: %w", host, said, bulwark.ErrNotFound)
	case te.StatusCode == http.StatusTooManyRequests, has(transport.TooManyRequestsErrorCode):
		return &bulwark.Hint{Err: err, Next: "wait, or log in: registries let known users read more"}
	case te.StatusCode >= 500:
		return &bulwark.Hint{Err: err, Next: "the registry has a fault, try again later"}
	}
	return err
}
