// SPDX-License-Identifier: Apache-2.0

// Command reach uses parts of old modules, for the scanner to tell which flawed
// functions of them are linked in.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/dgrijalva/jwt-go"
	"github.com/gorilla/websocket"
	"golang.org/x/crypto/ssh"
	"golang.org/x/net/html"
	"golang.org/x/text/language"
	"gopkg.in/yaml.v2"
)

func main() {
	var v any
	b, _ := io.ReadAll(os.Stdin)
	fmt.Println(yaml.Unmarshal(b, &v), v)
	fmt.Println(language.Parse(string(b)))
	fmt.Println(html.EscapeString(string(b)))
	fmt.Println(jwt.New(jwt.SigningMethodHS256).SignedString(b))
	fmt.Println(ssh.ParsePublicKey(b))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		fmt.Println(c, err)
	})
	http.ListenAndServe(":1", nil)
}
