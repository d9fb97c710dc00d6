//go:build nextversion

package entry

// Version makes this build a program of the future, which knows one cluster version
// more, in which nothing is new: tests upgrade clusters to it.
const Version = 4
