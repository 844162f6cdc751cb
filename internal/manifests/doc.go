// Package manifests holds the files in deploy/kubernetes to Kubernetes' own types: they
// are built as kubectl apply -k builds them, and decoded strictly, so that a member
// that does not exist, or stands in the wrong place, is an error here and not a setting
// that is silently left out. It has tests only, in a Go module of its own, so that the
// programs carry none of Kubernetes' libraries.
package manifests
