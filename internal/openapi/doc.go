// Package openapi holds the console's API against its description, by an implementation of
// OpenAPI that is not ours: real requests and real answers of every route, refusals too. It is
// a module of its own, so that nothing else carries that implementation.
package openapi
