// SPDX-License-Identifier: Apache-2.0

// Command gobin links old modules, for the scanner to find.
package main

import (
	"fmt"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v4"
	"golang.org/x/crypto/ssh"
)

func main() { fmt.Println(gin.Version, jwt.SigningMethodHS256.Alg(), ssh.KeyAlgoRSA) }
