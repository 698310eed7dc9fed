// Package testkit holds what the tests of several packages share: a broker of
// their own, waiting without sleeping, and golden files. Only tests import it.
package testkit
