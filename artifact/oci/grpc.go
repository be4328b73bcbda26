// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/bulwark-sec/bulwark"
	"google.golang.org/protobuf/encoding/protowire" // fields of messages, without generated types
)

// Two calls and one stream of containerd are needed. Its client and the gRPC
// library would make the program 6 MB larger; over HTTP/2 they are a request
// with framed bodies
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).

// maxMessage bounds one message; containerd itself sends no more than 16 MiB.
const maxMessage = 16 << 20

// The gRPC status codes that are told apart.
const (
	codeNotFound         = 5
	codePermissionDenied = 7
	codeUnimplemented    = 12
)

// A grpcError is a call that the server refused.
type grpcError struct {
	code    int
	message string
}

func (e *grpcError) Error() string { return fmt.Sprintf("status %d: %.200q", e.code, e.message) }

func (e *grpcError) Is(target error) bool {
	return e.code == codeNotFound && target == bulwark.ErrNotFound ||
		e.code == codeUnimplemented && target == bulwark.ErrUnsupported
}

// newGRPC gives a client for the server at a unix socket.
func newGRPC(socket string) (*http.Client, func()) {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		Protocols:              new(http.Protocols),
		MaxResponseHeaderBytes: 1 << 20,
		DisableCompression:     true,
	}
	tr.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, tr.CloseIdleConnections
}

// A call is a running call: its messages are read until the end.
type call struct {
	resp *http.Response
	buf  []byte
}

// newCall sends one message to method, "package.Service/Method".
func newCall(ctx context.Context, c *http.Client, method string, header map[string]string, message []byte) (*call, error) {
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	body := &oneShot{b: append(frame, message...)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://containerd/"+method, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, inner(err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("http status %d", resp.StatusCode)
	}
	return &call{resp: resp}, nil
}

// oneShot is a request body of unknown length to net/http, so that it does not
// announce one, which not every server expects.
type oneShot struct{ b []byte }

func (o *oneShot) Read(p []byte) (int, error) {
	if len(o.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.b)
	o.b = o.b[n:]
	return n, nil
}

// next gives the next message, valid until the following call; io.EOF is the
// good end.
func (c *call) next() ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(c.resp.Body, head[:]); err != nil {
		if err == io.EOF {
			return nil, c.status()
		}
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if head[0] != 0 {
		return nil, fmt.Errorf("compressed message: %w", bulwark.ErrUnsupported)
	}
	if n > maxMessage {
		return nil, fmt.Errorf("message of %d bytes, limit %d: %w", n, maxMessage, bulwark.ErrTooLarge)
	}
	if uint32(cap(c.buf)) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	if _, err := io.ReadFull(c.resp.Body, c.buf); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return c.buf, nil
}

// status reads how the call ended, from the trailers, or from the headers when
// there was no message.
func (c *call) status() error {
	t := c.resp.Trailer
	if t.Get("Grpc-Status") == "" {
		t = c.resp.Header
	}
	code, err := strconv.Atoi(t.Get("Grpc-Status"))
	if err != nil {
		return errors.New("call ended without status")
	}
	if code == 0 {
		return io.EOF
	}
	m := t.Get("Grpc-Message")
	if plain, err := url.PathUnescape(m); err == nil {
		m = plain
	}
	return &grpcError{code, m}
}

func (c *call) close() error { return c.resp.Body.Close() }

// one makes a call that has one answer.
func one(ctx context.Context, c *http.Client, method string, header map[string]string, message []byte) ([]byte, error) {
	cl, err := newCall(ctx, c, method, header, message)
	if err != nil {
		return nil, err
	}
	defer cl.close()
	m, err := cl.next()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	m = append([]byte(nil), m...)
	if _, err := cl.next(); !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, errors.New("more than one answer"))
	}
	return m, nil
}

// field gives the last bytes field of number n in message b; nil when it has
// none.
func field(b []byte, n protowire.Number) (v []byte, err error) {
	err = fields(b, func(num protowire.Number, bytes []byte, _ uint64) {
		if num == n && bytes != nil {
			v = bytes
		}
	})
	return v, err
}

// fields visits the fields of a message: bytes is nil for numbers.
func fields(b []byte, visit func(n protowire.Number, bytes []byte, number uint64)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("message: %w", protowire.ParseError(n))
		}
		b = b[n:]
		switch typ {
		case protowire.BytesType:
			var v []byte
			if v, n = protowire.ConsumeBytes(b); n >= 0 {
				visit(num, v[:len(v):len(v)], 0)
			}
		case protowire.VarintType:
			var v uint64
			if v, n = protowire.ConsumeVarint(b); n >= 0 {
				visit(num, nil, v)
			}
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("message: %w", protowire.ParseError(n))
		}
		b = b[n:]
	}
	return nil
}
