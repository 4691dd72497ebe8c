//go:build tools

// Package tools keeps in go.mod what hack/gitea/build compiles.
package tools

import _ "code.gitea.io/gitea"
