//go:build tools

// Package tools keeps in go.mod what hack/node/build compiles.
package tools

import _ "github.com/opencontainers/runc"
